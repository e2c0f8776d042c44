"""What comes out of caches and a CUDA graph reads again at each replay: it must stay as long as the graph does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Used = TypeVar("_Used")
_own = threading.local()


@contextmanager
def held_in(kept: list[Any]) -> Iterator[None]:
    """What this thread passes to :func:`held` inside is put there, too."""
    _own.kept = kept
    try:
        yield
    finally:
        _own.kept = None


def held(used: _Used) -> _Used:
    """``used`` itself: tensors, or what holds some, that a cache may let go of."""
    if (kept := getattr(_own, "kept", None)) is not None:
        kept.append(used)
    return used
