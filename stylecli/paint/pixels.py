"""Pixels: whole numbers in files, floats in 0..1 for networks. The only place where one becomes the other.

Numpy alone is imported here; tensors are met with torch's own methods.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

FloatArray = npt.NDArray[np.float32]

STRIP_PIXELS = 1 << 19  # of a strip, when whole pictures are gone through: 6 MB of floats
_CACHED = 1 << 17  # numbers that stay in a core's cache from one step to the next
_MOST_ROWS = 2048  # what is computed for each row of a strip may take memory for each other row
_WHITE = {"uint8": 255, "uint16": 65535}


def strips(height: int, width: int, pixels: int = STRIP_PIXELS) -> Iterator[tuple[int, int]]:
    """Ranges of rows, from top to bottom, of about so many pixels each; not too many rows of a narrow picture."""
    rows = min(_MOST_ROWS, max(1, pixels // max(1, width)))
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def threshold(top: int, bottom: int, width: int) -> FloatArray:
    """What to add to numbers before they are cut off to whole ones, (n, W, 3) in 0..1: dither for rows of a picture.

    A function of the place alone ("interleaved gradient noise", Jimenez, SIGGRAPH 2014): neighbours differ, the mean
    over a few of them is even, and strips of any height give the same picture.
    """
    y = np.arange(top, bottom, dtype=np.float64)[:, None, None]
    x = np.arange(width, dtype=np.float64)[None, :, None]
    c = np.arange(3, dtype=np.float64)
    noise = 52.9829189 * ((0.06711056 * (x + 37 * c) + 0.00583715 * (y + 17 * c)) % 1.0)
    return (noise % 1.0).astype(np.float32)


# Whole numbers to floats.


def to_floats(pixels: npt.NDArray[Any]) -> FloatArray:
    """uint8, uint16 or floats in 0..1 as float32 in 0..1: four bytes for each number, so not for large pictures."""
    white = _WHITE.get(pixels.dtype.name, 1)
    return np.asarray(np.divide(pixels, np.float32(white), dtype=np.float32))


def to_tensor(pixels: npt.NDArray[Any] | Tensor) -> Tensor:
    """uint8, uint16 or floats in 0..1, (..., H, W, 3), as a float32 tensor (..., 3, H, W) in 0..1, on the CPU or on the
    device of a tensor."""
    import torch

    if isinstance(pixels, np.ndarray):
        pixels = torch.from_numpy(pixels)
    floats = pixels.float()
    white = _WHITE.get(str(pixels.dtype).removeprefix("torch."))
    if white is not None:
        floats = floats.div_(white)
    return floats.movedim(-1, -3)


# Floats to whole numbers.


def to_whole(values: FloatArray, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Floats in 0..1 as the nearest whole numbers of ``dtype``, uint8 or uint16; those outside are clipped."""
    white = _WHITE[np.dtype(dtype).name]
    result = np.empty(values.shape, dtype)
    for top, bottom in strips(values.shape[0], math.prod(values.shape[1:]), _CACHED):
        scaled = values[top:bottom] * np.float32(white)
        scaled += np.float32(0.5)
        result[top:bottom] = np.clip(scaled, 0, white, out=scaled)  # casting cuts off
    return result


def rows_to_whole(rows: Tensor, dtype: np.dtype[Any], top: int) -> npt.NDArray[Any] | Tensor:
    """Rows (1, 3, n, W) of a picture from ``top`` on, floats in 0..1 on any device, as (n, W, 3) of ``dtype``: the
    nearest of 256 values, or dithered to 65536, or float."""
    if dtype == np.uint8:
        return rows[0].mul(255).add_(0.5).clamp_(0, 255).byte().permute(1, 2, 0)  # casting cuts off
    floats = rows[0].permute(1, 2, 0).cpu().numpy()  # (n, W, 3)
    if dtype != np.uint16:
        return floats
    floats = floats * np.float32(65535) + threshold(top, top + floats.shape[0], floats.shape[1])
    return np.clip(floats, 0, 65535).astype(dtype)


def to_bytes(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) of any kind to 0..255: 16 bits are dithered, so that a ramp shows no bands; floats in 0..1 become the
    nearest number, and those outside are clipped.

    Raises ``ValueError`` for NaN and infinity. Works in strips, to need no second float copy.
    """
    if pixels.dtype == np.uint8:
        return pixels
    result = np.empty(pixels.shape, dtype=np.uint8)
    wide = pixels.dtype == np.uint16
    for top, bottom in strips(*pixels.shape[:2]):
        strip = np.multiply(pixels[top:bottom], np.float32(255 / 65535 if wide else 255), dtype=np.float32)
        if not np.isfinite(strip).all():
            raise ValueError("the result holds values that are no numbers")
        strip += threshold(top, bottom, pixels.shape[1]) if wide else np.float32(0.5)
        np.clip(strip, 0, 255, out=strip)
        result[top:bottom] = strip  # casting cuts off
    return result


def to_depth(whole: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """uint8 or uint16 as the other, or as it is: black and white stay black and white."""
    if whole.dtype == dtype:
        return whole
    if np.dtype(dtype) == np.uint16:
        return whole.astype(np.uint16) * np.uint16(257)
    return to_bytes(whole) if whole.ndim == 3 else (whole >> 8).astype(np.uint8)


def to_image(pixels: npt.NDArray[Any]) -> Image.Image:
    """(H, W, 3) of any kind as a Pillow picture with 8 bits."""
    from PIL import Image

    return Image.fromarray(to_bytes(pixels))
