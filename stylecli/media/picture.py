"""One image in memory: its pixels as numbers, and everything else that the file said about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
WordArray = npt.NDArray[np.uint16]
WholeArray = npt.NDArray[Any]  # uint8 or uint16
PixelArray = npt.NDArray[Any]  # uint8, uint16 or float32


@dataclass(frozen=True)
class Frame:
    """One frame of an animation: pixels and alpha as a :class:`Picture` has them, and milliseconds."""

    pixels: PixelArray
    alpha: WholeArray | None
    duration: float


@dataclass(frozen=True)
class Picture:
    """An upright image in sRGB, with what has to be written back beside it.

    ``dataclasses.replace(picture, pixels=stylized)`` is how a result inherits the input's metadata.
    """

    pixels: PixelArray
    """(H, W, 3), sRGB-encoded, C-contiguous: uint8, or uint16 where the file has more than 8 bits; a picture that was
    not read from a file may also have float32 in 0..1, which is written with 8 bits."""
    alpha: WholeArray | None = None
    """(H, W), uint8 or uint16, the largest value = opaque; None where the input has no transparency."""
    icc: bytes | None = None
    """The input's RGB profile. ``pixels`` are sRGB all the same: writing converts back and embeds it."""
    exif: bytes | None = None
    """``Exif\\0\\0`` + TIFF block; orientation is 1 (the pixels are already turned), no thumbnail."""
    xmp: bytes | None = None
    """XMP packet, UTF-8 as found; orientation is 1."""
    format: str = "PNG"
    """Pillow's name of the file format that was read: ``PNG``, ``JPEG``, ``TIFF`` ..."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical pixels per inch."""
    frames: int = 1
    """Frames or pages in the file; ``pixels`` holds the first."""
    more: tuple[Frame, ...] = ()
    """The other frames, where an animation was asked for; all of one size."""
    duration: float = 0.0
    """Milliseconds that the first of several frames is shown."""
    loop: int | None = None
    """How often an animation is played, 0 for ever; None where the file does not say."""
    notices: tuple[str, ...] = ()
    """Lines for the user: what was repaired, guessed or left out while reading."""

    @property
    def count(self) -> int:
        """Pixels of all frames that are here."""
        return self.pixels.shape[0] * self.pixels.shape[1] * (1 + len(self.more))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def resize_to_fit(picture: Picture, max_size: int) -> Picture:
    """Shrink so that the long side has at most ``max_size`` pixels (Lanczos; alpha too); never enlarges.

    Returns the same object when it fits already. The aspect ratio is kept to the nearest pixel, and no
    side falls below 1. Raises ``ValueError`` when ``max_size`` is below 1.
    """
    if max_size < 1:
        raise ValueError(f"max_size must be at least 1, not {max_size}")
    height, width = picture.size
    if max(height, width) <= max_size:
        return picture
    scale = max_size / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))

    pixels = np.empty((new_height, new_width, 3), dtype=picture.pixels.dtype)
    for channel in range(3):  # one plane at a time: Pillow has neither float RGB nor 16-bit RGB
        pixels[..., channel] = _shrunk(picture.pixels[..., channel], (new_width, new_height))
    alpha = None if picture.alpha is None else _shrunk(picture.alpha, (new_width, new_height))
    more = []
    for frame in picture.more:
        small = resize_to_fit(Picture(frame.pixels, frame.alpha), max_size)
        more.append(replace(frame, pixels=small.pixels, alpha=small.alpha))
    return replace(picture, pixels=pixels, alpha=alpha, more=tuple(more))


def _shrunk(plane: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """One plane by Lanczos, in its own type."""
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.LANCZOS))
    result = np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.LANCZOS))
    white = 65535 if plane.dtype == np.uint16 else 1.0  # Lanczos rings beyond the range at hard edges
    result = np.clip(result, 0, white)
    return result if plane.dtype == np.float32 else np.rint(result).astype(plane.dtype)
