"""A picture handed to a painter: what it gets to see of it, and what of the picture stays in the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from stylecli.media.picture import FloatArray, Frame, Picture, PixelArray, Unpainted
from stylecli.media.transparency import continued

Paint = Callable[[PixelArray], PixelArray]
Keep = Callable[[PixelArray], FloatArray]
_One = TypeVar("_One", Picture, Frame)


def repaint(picture: Picture, paint: Paint, keep: float | Keep = 0.0) -> Picture:
    """All frames and pages of ``picture`` painted, each without the colours that its alpha hides.

    ``keep`` (0..1) of what no painter sees comes back when the result is written: colours outside of sRGB, and hidden
    ones. With 1 and a painter that changes nothing, the file's own numbers are written again. As a
    function of what the painter sees it differs from place to place, (H, W).
    """
    more = tuple(_repainted(frame, paint, keep) for frame in picture.more)
    pages = tuple(repaint(page, paint, keep) for page in picture.pages)
    return replace(_repainted(picture, paint, keep), more=more, pages=pages)


def _repainted(one: _One, paint: Paint, keep: float | Keep) -> _One:
    seen = continued(one.pixels, one.alpha)
    unpainted = None
    if (callable(keep) or keep > 0) and (one.own is not None or seen is not one.pixels):
        share = keep(seen) if callable(keep) else keep
        unpainted = Unpainted(one.pixels if one.own is None else one.own, seen, share)
    return replace(one, pixels=paint(seen), own=None, unpainted=unpainted)
