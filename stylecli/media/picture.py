"""One image in memory: its pixels as numbers, and everything else that the file said about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """An upright image in sRGB, with what has to be written back beside it.

    ``dataclasses.replace(picture, pixels=stylized)`` is how a result inherits the input's metadata.
    """

    pixels: FloatArray
    """(H, W, 3), float32, sRGB-encoded, 0..1, C-contiguous."""
    alpha: ByteArray | None = None
    """(H, W), uint8, 255 = opaque; None where the input has no transparency."""
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
    notices: tuple[str, ...] = ()
    """Lines for the user: what was repaired, guessed or left out while reading."""

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

    pixels = np.empty((new_height, new_width, 3), dtype=np.float32)
    for channel in range(3):  # one plane at a time: Pillow has no float RGB, and one copy is enough
        plane = Image.fromarray(np.ascontiguousarray(picture.pixels[..., channel]))
        pixels[..., channel] = np.asarray(plane.resize((new_width, new_height), Image.Resampling.LANCZOS))
    np.clip(pixels, 0.0, 1.0, out=pixels)  # Lanczos rings beyond the range at hard edges

    alpha = picture.alpha
    if alpha is not None:
        mask = Image.fromarray(alpha).resize((new_width, new_height), Image.Resampling.LANCZOS)
        alpha = np.array(mask, dtype=np.uint8)
    return replace(picture, pixels=pixels, alpha=alpha)
