"""One image in memory: its pixels as numbers, and everything else that the file said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
WordArray = npt.NDArray[np.uint16]
WholeArray = npt.NDArray[Any]  # uint8 or uint16
PixelArray = npt.NDArray[Any]  # uint8, uint16 or float32


@dataclass(frozen=True)
class Unpainted:
    """What a painter could not see of its picture: colours outside of sRGB, colours that alpha hides. Of the difference
    between ``own`` (the file's numbers) and ``seen`` (what was painted, sRGB) a ``share`` of 0..1 is put back, the same
    everywhere or (H, W)."""

    own: PixelArray
    seen: PixelArray
    share: float | FloatArray


@dataclass(frozen=True)
class Frame:
    """One frame of an animation: milliseconds, and the rest as a :class:`Picture` has it."""

    pixels: PixelArray
    alpha: WholeArray | None
    duration: float
    own: PixelArray | None = None
    unpainted: Unpainted | None = None


@dataclass(frozen=True)
class Picture:
    """An upright image in sRGB, with what has to be written back beside it.

    ``repaint(picture, paint)`` is how a result inherits all that the input carried.
    """

    pixels: PixelArray
    """(H, W, 3), sRGB-encoded, C-contiguous: uint8, or uint16 where the file has more than 8 bits; a picture that was
    not read from a file may also have float32 in 0..1, which is written with 8 bits."""
    alpha: WholeArray | None = None
    """(H, W), uint8 or uint16, the largest value = opaque; None where the input has no transparency."""
    icc: bytes | None = None
    """The input's RGB profile. ``pixels`` are sRGB all the same: writing converts back and embeds it."""
    exif: bytes | None = None
    """``Exif\\0\\0`` + TIFF block; without orientation (the pixels are turned already) and thumbnail."""
    xmp: bytes | None = None
    """XMP packet, UTF-8 as found; orientation is 1."""
    iptc: bytes | None = None
    """IPTC-IIM as found: captions and names of press pictures."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """PNG's texts by their keys; the comment of a JPEG or GIF is ``Comment``."""
    format: str = "PNG"
    """Pillow's name of the file format that was read: ``PNG``, ``JPEG``, ``TIFF`` ..."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical pixels per inch."""
    lossless: bool = False
    """Whether the file was of a kind that may lose something (WebP, AVIF), and did not."""
    frames: int = 1
    """Frames or pages in the file; ``pixels`` holds the first."""
    pages: tuple[Picture, ...] = ()
    """The other pages of a TIFF, where all were asked for; of any size."""
    more: tuple[Frame, ...] = ()
    """The other frames, where an animation was asked for; all of one size."""
    duration: float = 0.0
    """Milliseconds that the first of several frames is shown."""
    loop: int | None = None
    """How often an animation is played, 0 for ever; None where the file does not say."""
    own: PixelArray | None = None
    """The file's own numbers, (H, W, 3) of the same kind, where its profile makes ``pixels`` others: what lies outside
    of sRGB is in these alone."""
    unpainted: Unpainted | None = None
    """Of a painting: what it was made from, as far as some of that has to shine through."""
    notices: tuple[str, ...] = ()
    """Lines for the user: what was repaired, guessed or left out while reading."""

    @property
    def count(self) -> int:
        """Pixels of all frames that are here."""
        of_pages = sum(page.count for page in self.pages)
        return self.pixels.shape[0] * self.pixels.shape[1] * (1 + len(self.more)) + of_pages

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]
