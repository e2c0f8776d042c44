"""A picture handed to a painter: what it gets to see of it, and what of the picture stays in the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stylecli.media.picture import Picture, PixelArray, Unpainted
from stylecli.media.transparency import continued

Paint = Callable[[PixelArray], PixelArray]


def repaint(picture: Picture, paint: Paint, keep: float = 0.0) -> Picture:
    """All frames and pages of ``picture`` painted, each without the colours that its alpha hides.

    ``keep`` (0..1) of what no painter sees comes back when the result is written: colours outside of sRGB, and hidden
    ones. With 1 and a painter that changes nothing, the file's own numbers are written again.
    """
    seen = continued(picture.pixels, picture.alpha)
    unpainted = None
    if keep > 0 and (picture.own is not None or seen is not picture.pixels):
        own = picture.pixels if picture.own is None else picture.own
        unpainted = Unpainted(own, seen, keep)
    more = (replace(f, pixels=paint(continued(f.pixels, f.alpha))) for f in picture.more)
    painted = replace(picture, pixels=paint(seen), own=None, unpainted=unpainted, more=tuple(more))
    return replace(painted, pages=tuple(repaint(page, paint, keep) for page in picture.pages))
