"""What is on screen when: the part of a film between two times, and a film at another frame rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av


@dataclass(frozen=True)
class Shown:
    """A decoded frame, when it is shown, and how long (0: unknown), in ticks."""

    pts: int
    duration: int
    frame: av.VideoFrame

    @property
    def end(self) -> int:
        return self.pts + max(1, self.duration)


def between(frames: Iterator[Shown], low: int | None, high: int | None) -> Iterator[Shown]:
    """What is shown from ``low`` on and before ``high``, beginning with the frame that is on screen at ``low``. Each
    lasts until the next one, whatever it says of itself."""
    held: Shown | None = None
    for shown in frames:
        if held is not None and shown.pts > held.pts:
            held = replace(held, duration=shown.pts - held.pts)
        if high is not None and shown.pts >= high:
            break
        if held is not None and (low is None or held.end > low):
            yield _cut(held, low, high)
        held = shown
    if held is not None and (low is None or held.end > low):
        yield _cut(held, low, high)


def _cut(shown: Shown, low: int | None, high: int | None) -> Shown:
    begin = shown.pts if low is None else max(low, shown.pts)
    end = shown.end if high is None else min(high, shown.end)
    return replace(shown, pts=begin, duration=max(1, end - begin) if shown.duration else 0)


def at_rate(frames: Iterator[Shown], ratio: Fraction) -> Iterator[Shown]:
    """Frames at an even rate: at each tick the last one that has begun, to the nearest; ``ratio``: new ticks in one
    of the old."""
    held: Shown | None = None
    at, first = 0, True
    for shown in itertools.chain(frames, (None,)):
        if shown is not None:
            until = _nearest(shown.pts * ratio)
        else:
            until = at if held is None else _nearest(held.end * ratio)
            until = max(until, at + 1) if first else until  # even the shortest film has one
        if held is not None:
            for tick in range(at, until):
                first = False
                yield Shown(tick, 1, held.frame)
        if shown is not None:
            held, at = shown, until if held is None else max(at, until)


def _nearest(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
