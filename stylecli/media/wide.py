"""Colour with 16 bits, of which Pillow keeps 8: read again by OpenCV, and written by hand as PNG."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image

from stylecli.media.picture import WholeArray, WordArray
from stylecli.media.tiff_pages import decoded

_STRIP = 1 << 20  # samples that are compressed at a time
_CHECKED_ROWS = 64


def read_wide(stream: BinaryIO, image: Image.Image, raw: str, depth: int = 8) -> WholeArray | None:
    """The 16-bit samples of an image that Pillow has just loaded with 8, (H, W, 3 or 4), as stored in the file.

    ``raw`` describes the file's pixels in Pillow's words (see ``pixel_layout``), ``depth`` is what the file says of
    itself where these are silent. None where it is no colour of more than 8 bits, or where OpenCV sees another picture
    than Pillow does (another order of channels).
    """
    white = whitest(image, raw, depth)
    if white <= 255 or image.mode not in ("RGB", "RGBA"):
        return None
    stream.seek(0)
    data = stream.read()
    whole = _bare_png(data) if image.format == "PNG" else data
    values = None if whole is None else decoded(whole)
    if values is None or values.dtype != np.uint16:
        return None
    if white < 65535:
        values = np.rint(np.minimum(values, white) * (65535 / white)).astype(np.uint16)
    return values if _same(values, image) else None


def whitest(image: Image.Image, raw: str, depth: int = 8) -> int:
    """The largest value of a colour in the file; 255 where nothing says that it is another."""
    if image.format == "PPM":
        stated = re.fullmatch(r"\('RGB', (\d+)\)", raw)
        return int(stated[1]) if stated is not None else 255
    if image.format in ("PNG", "TIFF", "SGI"):
        return 65535 if "16" in raw else 255
    return min(65535, (1 << depth) - 1)


def _bare_png(data: bytes) -> bytes | None:
    """The chunks that make the pixels; None where one is missing or has a wrong checksum.

    Pillow is lenient, while libpng complains on stderr.
    """
    at, view, kept = 8, memoryview(data), [memoryview(data)[:8]]
    names = []
    while at + 12 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + 8 + size
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            stated = data[end : end + 4]
            if len(stated) < 4 or zlib.crc32(view[at + 4 : end]) != struct.unpack(">I", stated)[0]:
                return None
            kept.append(view[at : end + 4])
            names.append(name)
        if name == b"IEND":
            sound = names[0] == b"IHDR" and names.count(b"IHDR") == 1 and names.count(b"tRNS") < 2
            return b"".join(kept) if sound and b"IDAT" in names else None
        at = end + 4
    return None


def pixel_layout(image: Image.Image) -> str:
    """How the pixels of an opened, not yet loaded image lie in its file, in Pillow's words."""
    return " ".join(str(tile[3]) for tile in getattr(image, "tile", None) or [])


def _same(values: WholeArray, image: Image.Image) -> bool:
    """Whether these are the image's own pixels with more bits: compared in some of its rows."""
    width, height = image.size
    bands = len(image.getbands())
    keyed = bands == 3 and "transparency" in image.info  # OpenCV makes an alpha of the one transparent colour
    if values.shape[:2] != (height, width) or values.shape[2] not in (bands, bands + keyed):
        return False
    for row in range(0, height, max(1, height // _CHECKED_ROWS)):
        eight = np.asarray(image.crop((0, row, width, row + 1)), np.int32)[0]
        if np.abs((values[row, :, :bands].astype(np.int32) >> 8) - eight).max() > 1:
            return False
    return True


def turned(values: WholeArray, orientation: int) -> WholeArray:
    """Samples (H, W, C) made upright, by the EXIF code."""
    if orientation in (5, 6, 7, 8):
        values = values.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def _joined(pixels: WordArray, alpha: WordArray | None) -> Iterator[WordArray]:
    """Strips (n, W, 3 or 4) from top to bottom."""
    rows = max(1, _STRIP // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        part = pixels[top : top + rows]
        yield part if alpha is None else np.concatenate([part, alpha[top : top + rows, :, None]], axis=2)


def write_png(
    stream: BinaryIO,
    pixels: WordArray,
    alpha: WordArray | None,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    chunks: Sequence[tuple[bytes, bytes]] = (),
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write (H, W, 3) and (H, W) as a 16-bit PNG, strip by strip. ``exif`` may begin with ``Exif\\0\\0``."""

    def chunk(name: bytes, data: bytes) -> None:
        stream.write(struct.pack(">I", len(data)) + name + data)
        stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))

    height, width = pixels.shape[:2]
    stream.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2 if alpha is None else 6, 0, 0, 0))
    if icc:
        chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi:
        chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1))
    for name, data in chunks:
        chunk(name, data)
    if exif:
        chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    packer = zlib.compressobj(3)  # beyond it the time doubles for a few percent
    above = None
    for part in _joined(pixels, alpha):
        samples = part.astype(">u2").reshape(len(part), -1).view(np.uint8)  # (n, bytes of a row)
        filtered = np.empty((len(part), 1 + samples.shape[1]), np.uint8)
        filtered[:, 0] = 2  # each row is stored as its difference from the one above
        filtered[0, 1:] = samples[0] if above is None else samples[0] - above
        filtered[1:, 1:] = samples[1:] - samples[:-1]
        above = samples[-1]
        packed = packer.compress(filtered.tobytes())
        if packed:
            chunk(b"IDAT", packed)
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")
