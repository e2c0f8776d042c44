"""Colours under alpha: what a transparent pixel is said to be must not show, neither in a painting nor in a resize.

Files keep some colour where they are transparent, mostly black or white, that nobody is meant to see. A painter and a
low-pass filter see all pixels alike. They are given a picture in which the visible colours go on behind what is hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stylecli.media.picture import FloatArray, PixelArray, WholeArray
from stylecli.paint.pixels import strips

# Alpha up to the first counts as none, and as full from the second on: colours of almost transparent pixels are mostly
# rounding.
_NONE, _FAINT = 1 / 64, 1 / 16
_EMPTY = 0.5  # where nothing at all is visible


def continued(pixels: PixelArray, alpha: WholeArray | None) -> PixelArray:
    """(H, W, 3) of any kind, with the colours of hidden pixels replaced by those of the visible ones around them.

    A pyramid of averages weighted by alpha ("push-pull", Gortler et al., The Lumigraph, SIGGRAPH 1996). Visible pixels
    keep their values; ``pixels`` itself is returned where none is hidden.
    """
    if alpha is None or bool((alpha >= _white(alpha) * _FAINT).all()):
        return pixels
    if alpha.max() <= _white(alpha) * _NONE:  # a breath of a picture, or none
        alpha = np.where(alpha > 0, np.iinfo(alpha.dtype).max, alpha)
    height, width = alpha.shape
    white = _white(pixels)
    top_level = np.zeros(((height + 1) // 2, (width + 1) // 2, 4), np.float32)  # colour x weight, weight
    for top, bottom in _even_strips(height, width):
        top_level[top // 2 : (bottom + 1) // 2] = _halved(_weighted(pixels[top:bottom], alpha[top:bottom]))
    behind = _filled(_sharpened(top_level))  # (H/2, W/2, 3)
    result = pixels.copy()
    for top, bottom in _even_strips(height, width):
        first = max(0, top // 2 - 1)
        rows = _doubled(behind[first : bottom // 2 + 2])[top - 2 * first :][: bottom - top, :width]
        weighted = _weighted(pixels[top:bottom], alpha[top:bottom])
        mixed = weighted[..., :3] + (1 - weighted[..., 3:]) * rows
        hidden = weighted[..., 3] < 1
        if pixels.dtype != np.float32:
            mixed = np.rint(np.clip(mixed * np.float32(white), 0, white))
        result[top:bottom][hidden] = mixed[hidden].astype(pixels.dtype)
    return result


def visible(pixels: PixelArray, alpha: WholeArray | None) -> PixelArray:
    """The smallest rectangle of (H, W, 3) around all that is visible, with hidden colours replaced: a style to learn
    from. The whole where nothing is."""
    if alpha is None or not alpha.any():
        return continued(pixels, alpha)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return continued(np.ascontiguousarray(pixels[box]), alpha[box])


def _white(values: npt.NDArray[Any]) -> float:
    return float(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else 1.0


def _even_strips(height: int, width: int) -> list[tuple[int, int]]:
    """Strips that begin at even rows."""
    rows = max(2, next(strips(height, width))[1] // 2 * 2)
    return [(top, min(height, top + rows)) for top in range(0, height, rows)]


def _weighted(pixels: PixelArray, alpha: WholeArray) -> FloatArray:
    """(n, W, 4): colours in 0..1 times their weight, and the weight, which is 1 for what is visible at all."""
    share = alpha * np.float32(1 / _white(alpha))
    weight = np.clip((share - np.float32(_NONE)) / np.float32(_FAINT - _NONE), 0, 1)
    result = np.empty((*alpha.shape, 4), np.float32)
    np.multiply(pixels, weight[..., None] * np.float32(1 / _white(pixels)), out=result[..., :3])
    result[..., 3] = weight
    return result


def _halved(level: FloatArray) -> FloatArray:
    """Means of 2 x 2, the last row and column doubled where their number is odd."""
    height, width = level.shape[:2]
    level = np.pad(level, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]) * np.float32(0.25)


def _sharpened(level: FloatArray) -> FloatArray:
    """One visible pixel of four decides the colour of all: what is hidden takes it from nearby, not from afar."""
    weight = level[..., 3:]
    gain = np.minimum(4 * weight, 1) / np.maximum(weight, np.float32(1e-12))
    return np.asarray(level * gain)


def _filled(level: FloatArray) -> FloatArray:
    """(h, w, 3): colours everywhere."""
    weight = level[..., 3:]
    if weight.min() >= 1 or level.shape[:2] == (1, 1):
        return np.where(weight > 0, level[..., :3] / np.maximum(weight, 1e-12), np.float32(_EMPTY))
    behind = _doubled(_filled(_sharpened(_halved(level))))[: level.shape[0], : level.shape[1]]
    return level[..., :3] + (1 - weight) * behind


def _doubled(level: FloatArray) -> FloatArray:
    """Twice as many rows and columns, linear between the old ones."""
    for axis in (0, 1):
        level = level.swapaxes(0, axis)
        around = np.concatenate([level[:1], level, level[-1:]])
        longer = np.empty((2 * len(level), *level.shape[1:]), np.float32)
        longer[::2] = 0.75 * level + 0.25 * around[:-2]
        longer[1::2] = 0.75 * level + 0.25 * around[2:]
        level = longer.swapaxes(0, axis)
    return level
