"""How a download gets on, for whoever wants to show it. Lines for people go through ``logging`` as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """``received`` of ``total`` bytes of the file ``name`` are here; ``total`` is None while nobody knows it.

    The last event of every download, failed ones too, has ``ended``.
    """

    name: str
    received: int
    total: int | None
    ended: bool = False


Listener = Callable[[Download], None]

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have ``listener`` called with every Download of this process, from the thread that downloads."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def report(event: Download) -> None:
    for listener in tuple(_listeners):
        listener(event)


def megabytes(count: int) -> str:
    """``count`` bytes for a person."""
    if count < 100_000:
        return f"{count:,} bytes"
    return f"{count / 1e6:,.0f} MB" if count >= 10_000_000 else f"{count / 1e6:.1f} MB"
