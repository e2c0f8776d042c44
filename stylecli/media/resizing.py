"""Shrinking a picture and everything that belongs to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylecli.media.picture import FloatArray, Picture, PixelArray, WholeArray
from stylecli.media.transparency import continued


def resize_to_fit(picture: Picture, max_size: int) -> Picture:
    """Shrink so that the long side has at most ``max_size`` pixels (Lanczos; alpha too); never enlarges.

    Colours are weighted by alpha: what is transparent leaves no edge around what is not. Returns the same object when
    it fits already. The aspect ratio is kept to the nearest pixel, and no side falls below 1. Raises ``ValueError``
    when ``max_size`` is below 1.
    """
    if max_size < 1:
        raise ValueError(f"max_size must be at least 1, not {max_size}")
    if picture.pages:
        picture = replace(picture, pages=tuple(resize_to_fit(page, max_size) for page in picture.pages))
    height, width = picture.size
    if max(height, width) <= max_size:
        return picture
    scale = max_size / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))

    more = []
    for frame in picture.more:
        small = resize_to_fit(Picture(frame.pixels, frame.alpha, own=frame.own), max_size)
        more.append(replace(frame, pixels=small.pixels, alpha=small.alpha, own=small.own))
    return replace(
        picture,
        pixels=_shrunk(picture.pixels, picture.alpha, size),
        alpha=None if picture.alpha is None else _plane(picture.alpha, size),
        own=None if picture.own is None else _shrunk(picture.own, picture.alpha, size),
        more=tuple(more),
    )


def _shrunk(pixels: PixelArray, alpha: WholeArray | None, size: tuple[int, int]) -> PixelArray:
    """(H, W, 3) to (h, w, 3), one plane at a time: Pillow has neither float RGB nor 16-bit RGB."""
    result = np.empty((size[1], size[0], 3), dtype=pixels.dtype)
    if alpha is None or alpha.min() == np.iinfo(alpha.dtype).max:
        for channel in range(3):
            result[..., channel] = _plane(pixels[..., channel], size)
        return result
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    weight = alpha.astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max)
    total = _lanczos(weight, size)
    shown = total > 1 / 255
    behind = continued(pixels, alpha)  # for the places of which nothing is visible
    for channel in range(3):
        mean = _lanczos(pixels[..., channel] * weight, size) / np.where(shown, total, 1)
        plane = np.clip(mean, 0, white)
        plane = plane if pixels.dtype == np.float32 else np.rint(plane)
        result[..., channel] = np.where(shown, plane, _plane(behind[..., channel], size))
    return result


def _plane(plane: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """One plane by Lanczos, in its own type."""
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.LANCZOS))
    white = 65535 if plane.dtype == np.uint16 else 1.0  # Lanczos rings beyond the range at hard edges
    result = np.clip(_lanczos(plane, size), 0, white)
    return result if plane.dtype == np.float32 else np.rint(result).astype(plane.dtype)


def _lanczos(plane: npt.NDArray[Any], size: tuple[int, int]) -> FloatArray:
    floats = Image.fromarray(plane.astype(np.float32))
    return np.asarray(floats.resize(size, Image.Resampling.LANCZOS))
