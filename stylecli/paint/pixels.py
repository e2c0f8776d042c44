"""Going through a picture in strips, and turning numbers into whole ones on the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

STRIP_PIXELS = 1 << 19  # of a strip, when whole pictures are gone through: 6 MB of floats


def strips(height: int, width: int, pixels: int = STRIP_PIXELS) -> Iterator[tuple[int, int]]:
    """Ranges of rows, from top to bottom, of about so many pixels each."""
    rows = max(1, pixels // max(1, width))
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def threshold(top: int, bottom: int, width: int) -> npt.NDArray[np.float32]:
    """What to add to numbers before they are cut off to whole ones, (n, W, 3) in 0..1: dither for rows of a picture.

    A function of the place alone ("interleaved gradient noise", Jimenez, SIGGRAPH 2014): neighbours differ, the mean
    over a few of them is even, and strips of any height give the same picture.
    """
    y = np.arange(top, bottom, dtype=np.float64)[:, None, None]
    x = np.arange(width, dtype=np.float64)[None, :, None]
    c = np.arange(3, dtype=np.float64)
    noise = 52.9829189 * ((0.06711056 * (x + 37 * c) + 0.00583715 * (y + 17 * c)) % 1.0)
    return (noise % 1.0).astype(np.float32)
