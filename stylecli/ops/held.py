"""Tensors out of caches that a CUDA graph reads again at each replay, and that must stay as long as the graph does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_own = threading.local()


@contextmanager
def held_in(tensors: list[Tensor]) -> Iterator[None]:
    """Tensors that this thread passes to :func:`held` inside are put there, too."""
    _own.tensors = tensors
    try:
        yield
    finally:
        _own.tensors = None


def held(tensor: Tensor) -> Tensor:
    """``tensor`` itself, which a cache may let go of."""
    if (tensors := getattr(_own, "tensors", None)) is not None:
        tensors.append(tensor)
    return tensor
