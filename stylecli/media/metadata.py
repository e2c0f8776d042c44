"""EXIF, XMP and resolution: what is carried from input to output, and what must not be.

Tags that describe the *file* (strips, compression, thumbnails, size) would lie about the new file and
are dropped; tags that describe the *photograph* are kept. Damage here never costs the picture.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

_ORIENTATION = int(ExifTags.Base.Orientation)
_EXIF_IFD = int(ExifTags.IFD.Exif)
_GPS_IFD = int(ExifTags.IFD.GPSInfo)
_MAKER_NOTE = int(ExifTags.Base.MakerNote)
_WIDTH, _HEIGHT = int(ExifTags.Base.ExifImageWidth), int(ExifTags.Base.ExifImageHeight)
_XMP_TAG = 700

# TIFF tags about the layout of the file itself, and blocks that travel by their own way.
_LAYOUT_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289}
    | {290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336}
    | {337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532}
    | {_XMP_TAG, 33723, 34377, 34675, 37724, 50341}
)
RESOLUTION_TAGS = frozenset({282, 283, 296})  # in a TIFF these are its dpi, which travels by itself
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))[0-9]')


@dataclass
class Metadata:
    """What was found; ``orientation`` is the EXIF code 1..8 that still has to be applied to the pixels."""

    orientation: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    notices: list[str] = field(default_factory=list)


def read_metadata(image: Image.Image) -> Metadata:
    """Collect the metadata of a *loaded* image (TIFF is turned upright by Pillow while loading)."""
    found = Metadata()
    unwanted = _LAYOUT_TAGS | RESOLUTION_TAGS if image.format == "TIFF" else _LAYOUT_TAGS
    try:
        exif = image.getexif()
        code = exif.get(_ORIENTATION, 1)
        found.orientation = code if isinstance(code, int) and 1 <= code <= 8 else 1
        found.exif = _cleaned(exif, unwanted, found.notices)
    except Exception:  # a parser over bytes that anyone may have written: it can raise anything
        if any(key in image.info for key in ("exif", "Raw profile type exif")):
            found.notices.append("damaged EXIF left out")
    found.xmp = _read_xmp(image)
    found.dpi = _read_dpi(image, swapped=found.orientation >= 5)
    return found


def _cleaned(exif: Image.Exif, unwanted: frozenset[int], notices: list[str]) -> bytes | None:
    for tag in (_EXIF_IFD, _GPS_IFD):
        if tag in exif:
            exif.get_ifd(tag)  # pulled in now: later the bytes they point into are gone
    for tag in list(exif):
        if tag in unwanted:
            del exif[tag]
    if not len(exif):
        return None
    if _ORIENTATION in exif:
        exif[_ORIENTATION] = 1
        if len(exif) == 1:  # it said nothing but "turn me", which is done
            return None
    exif.bigtiff = False
    try:
        return exif.tobytes()
    except Exception:  # a value of the wrong type, which Pillow reads but does not write
        dropped = _drop_unwritable(exif)
        notices.append(f"damaged EXIF fields left out: {', '.join(dropped)}")
        return exif.tobytes() if len(exif) else None


def _drop_unwritable(exif: Image.Exif) -> list[str]:
    """Delete the fields that cannot be written one by one; returns their names."""
    dropped = []
    for group in (None, _EXIF_IFD, _GPS_IFD):
        if group is not None and group not in exif:
            continue
        fields: MutableMapping[int, Any] = exif if group is None else exif.get_ifd(group)
        names = ExifTags.GPSTAGS if group == _GPS_IFD else ExifTags.TAGS
        for tag in [tag for tag in fields if tag not in (_EXIF_IFD, _GPS_IFD)]:
            probe = TiffImagePlugin.ImageFileDirectory_v2(group=group)
            try:
                probe[tag] = fields[tag]
                probe.tobytes()
            except Exception:
                dropped.append(names.get(tag, str(tag)))
                del fields[tag]
    return dropped


def _read_xmp(image: Image.Image) -> bytes | None:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "surrogateescape")
    if not isinstance(packet, bytes) or not packet:
        return None
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet)


def _read_dpi(image: Image.Image, *, swapped: bool) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (x, y)):
        return None
    return (y, x) if swapped else (x, y)


def exif_for_size(exif: bytes | None, width: int, height: int) -> Image.Exif | None:
    """The EXIF block ready to be written with a ``width`` × ``height`` picture; None when there is none."""
    if not exif:
        return None
    block = Image.Exif()
    try:
        block.load(exif)
        if _GPS_IFD in block:
            block.get_ifd(_GPS_IFD)
        if _EXIF_IFD in block:
            inner = block.get_ifd(_EXIF_IFD)
            if _WIDTH in inner or _HEIGHT in inner:
                inner[_WIDTH], inner[_HEIGHT] = width, height
        block.tobytes()
    except Exception:  # bytes given by a caller: a damaged block costs the block, not the picture
        return None
    return block


def shrunk_exif(exif: Image.Exif, limit: int) -> bytes | None:
    """The block in at most ``limit`` bytes: without the maker's private note if need be, else None."""
    data = exif.tobytes()
    if len(data) > limit and _EXIF_IFD in exif:
        exif.get_ifd(_EXIF_IFD).pop(_MAKER_NOTE, None)
        data = exif.tobytes()
    return data if len(data) <= limit else None
