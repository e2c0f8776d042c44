"""Write TIFF: 8 or 16 bits, one page or many, each with all that it carries, not compressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from stylecli.media.exif import ExifBlock
from stylecli.media.ifd import (
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    Directory,
    bytes_field,
    numbers_field,
)
from stylecli.media.metadata import ICC_TAG, IPTC_TAG, RESOLUTION_TAGS, UNWANTED, XMP_TAG
from stylecli.media.picture import WholeArray
from stylecli.paint.pixels import strips

_MOST = (1 << 32) - 1  # bytes that the offsets of a TIFF reach


@dataclass(frozen=True)
class TiffPage:
    """Pixels (H, W, 3), uint8 or uint16, alpha (H, W) of the same kind, and what is said about them."""

    pixels: WholeArray
    alpha: WholeArray | None = None
    exif: ExifBlock | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)


def write_tiff(stream: BinaryIO, pages: Sequence[TiffPage]) -> None:
    """Write pages one after the other. Raises ValueError where they are too large for a TIFF."""
    if sum(page.nbytes for page in pages) > _MOST - (1 << 20) * len(pages):
        raise ValueError("over 4 GB")
    stream.write(b"II*\0\x08\0\0\0")
    at = 8
    for number, page in enumerate(pages):
        length = len(_block(page, number, len(pages), 0).directories(at))
        samples = page.nbytes + page.nbytes % 2
        following = at + length + samples if number + 1 < len(pages) else 0
        stream.write(_block(page, number, len(pages), at + length).directories(at, following))
        for top, bottom in strips(*page.pixels.shape[:2]):
            part = page.pixels[top:bottom]
            if page.alpha is not None:
                part = np.concatenate([part, page.alpha[top:bottom, :, None]], axis=2)
            stream.write(part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes())
        stream.write(bytes(page.nbytes % 2))
        at += length + samples


def _block(page: TiffPage, number: int, pages: int, samples_at: int) -> ExifBlock:
    """All fields of a page whose samples lie there."""
    height, width = page.pixels.shape[:2]
    samples = 3 if page.alpha is None else 4
    exif = (page.exif or ExifBlock()).without(UNWANTED | RESOLUTION_TAGS).ordered("<")
    fields: Directory = {
        256: numbers_field(LONG, width),
        257: numbers_field(LONG, height),
        258: numbers_field(SHORT, *[8 * page.pixels.itemsize] * samples),
        259: numbers_field(SHORT, 1),  # not compressed
        262: numbers_field(SHORT, 2),  # RGB
        273: numbers_field(LONG, samples_at),
        277: numbers_field(SHORT, samples),
        278: numbers_field(LONG, height),  # one strip
        279: numbers_field(LONG, page.nbytes),
        284: numbers_field(SHORT, 1),
    }
    if pages > 1:
        fields[254] = numbers_field(LONG, 2)
        fields[297] = numbers_field(SHORT, min(number, 65535), min(pages, 65535))
    if page.alpha is not None:
        fields[338] = numbers_field(SHORT, 2)  # not multiplied into the colours
    if page.dpi is not None:
        x, y = (round(value * 1000) for value in page.dpi)
        fields |= {282: numbers_field(RATIONAL, x, 1000), 283: numbers_field(RATIONAL, y, 1000)}
        fields[296] = numbers_field(SHORT, 2)
    if page.icc:
        fields[ICC_TAG] = bytes_field(page.icc)
    if page.xmp:
        fields[XMP_TAG] = bytes_field(page.xmp, kind=BYTE)
    if page.iptc:
        fields[IPTC_TAG] = bytes_field(page.iptc)
    return ExifBlock(exif.main | fields, exif.photo, exif.gps, exif.interop)
