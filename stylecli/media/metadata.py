"""EXIF, XMP, IPTC, texts and resolution: what is carried from input to output, and what must not be.

Tags that describe the *file* (strips, compression, thumbnails, size) would lie about the new file and
are dropped; tags that describe the *photograph* are kept. Damage here never costs the picture.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from PIL import Image

from stylecli.media.exif import ORIENTATION, ExifBlock, read_exif
from stylecli.media.ifd import Directory

XMP_TAG, IPTC_TAG, _PHOTOSHOP_TAG, ICC_TAG = 700, 33723, 34377, 34675
_IPTC_RESOURCE, _EXIF_RESOURCE, _XMP_RESOURCE = 0x0404, 0x0422, 0x0424  # of Photoshop's blocks

# TIFF tags about the layout of the file itself, and blocks that travel by their own way.
_LAYOUT_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289}
    | {290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336}
    | {337, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532}
    | {XMP_TAG, IPTC_TAG, _PHOTOSHOP_TAG, ICC_TAG, 37724, 50341}
)
_MOST_EXIF = 1 << 20
RESOLUTION_TAGS = frozenset({282, 283, 296})  # in a TIFF these are its dpi, which travels by itself
UNWANTED = _LAYOUT_TAGS | {ORIENTATION}  # the pixels are upright
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))[0-9]')

# What XMP says about further parts of the file, which a painting does not have, and the word for it.
_DECLARED = {
    "motion photo": rb"(?:GCamera|Camera|MiCamera):(?:MotionPhoto|MicroVideo|XMPMeta)\w*",
    "gain map": rb"(?:hdrgm|HDRGainMap|apdi|hdr_metadata):\w+",
    "depth map": rb"(?:GDepth|GImage|GAudio|Device|Profile|Cameras):\w+",
    "extended XMP": rb"xmpNote:HasExtendedXMP",
}
_CONTAINER = re.compile(
    rb"<((?:G?Container):Directory)\b.*?</\1\s*>|<(?:G?Container):Directory\b[^>]*/>", re.DOTALL
)
_TRAILING_FILM = re.compile(rb"....ftyp(?:mp4|isom|qt  |avc1|iso)", re.DOTALL)


@dataclass
class Metadata:
    """What was found; ``orientation`` is the EXIF code 1..8 that still has to be applied to the pixels."""

    orientation: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    notices: list[str] = field(default_factory=list)


def read_metadata(image: Image.Image, stream: BinaryIO, directory: Directory | None = None) -> Metadata:
    """Collect the metadata of a *loaded* image (TIFF is turned upright by Pillow while loading). ``directory`` is that
    of a TIFF's page."""
    found = Metadata()
    try:
        code = image.getexif().get(ORIENTATION, 1)
        found.orientation = code if isinstance(code, int) and 1 <= code <= 8 else 1
    except Exception:  # a parser over bytes that anyone may have written: it can raise anything
        pass
    found.exif = _read_exif(image, stream, directory, found.notices)
    found.iptc = _read_iptc(image, directory)
    found.texts = _read_texts(image)
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or _resource(image, _XMP_RESOURCE)
    legacy = image.info.get("Raw profile type xmp")
    if not packet and isinstance(legacy, str):
        packet = _from_hex(legacy)
    if directory is not None and XMP_TAG in directory:
        packet = directory[XMP_TAG].data
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "surrogateescape")
    if isinstance(packet, bytes) and packet:
        found.xmp = cleaned_xmp(packet, found.notices)
    if directory is None:
        found.dpi = _read_dpi(image.info.get("dpi"), swapped=found.orientation >= 5)
    else:
        turned = directory[ORIENTATION].first() if ORIENTATION in directory else 1
        found.dpi = _read_dpi(_tiff_dpi(directory), swapped=turned >= 5)
    return found


def _read_exif(
    image: Image.Image, stream: BinaryIO, directory: Directory | None, notices: list[str]
) -> bytes | None:
    raw = image.info.get("exif") or _resource(image, _EXIF_RESOURCE)
    legacy = image.info.get("Raw profile type exif")  # ImageMagick's, in PNG
    if directory is not None:
        block = read_exif(stream, directory)
    elif isinstance(raw, bytes) and raw:
        block = read_exif(raw)
        if image.format == "AVIF" and block is not None:
            block = _as_in_file(stream, block)
    elif isinstance(legacy, str):
        block = read_exif(_from_hex(legacy))
    else:
        return None
    if block is None:
        notices.append("damaged EXIF left out")
        return None
    if block.damaged and directory is None:
        notices.append(f"damaged EXIF fields left out: {', '.join(block.damaged)}")
    unwanted = UNWANTED if directory is None else UNWANTED | RESOLUTION_TAGS
    return block.without(unwanted).tobytes() or None


def _as_in_file(stream: BinaryIO, block: ExifBlock) -> ExifBlock:
    """Of an AVIF that is turned Pillow writes the block anew, and its texts in ASCII: the same fields as the file has
    them."""
    stream.seek(0)
    data = stream.read()
    wanted = block.main.keys() - {ORIENTATION}
    for start in (b"II*\0", b"MM\0*"):
        at = data.find(start)
        while at >= 0:
            found = read_exif(data[at : at + _MOST_EXIF])
            if found is not None and wanted and found.main.keys() - {ORIENTATION} == wanted:
                return found
            at = data.find(start, at + 1)
    return block


def _read_iptc(image: Image.Image, directory: Directory | None) -> bytes | None:
    if directory is not None:
        if IPTC_TAG in directory:
            return directory[IPTC_TAG].data or None
        return _iptc_resource(directory[_PHOTOSHOP_TAG].data) if _PHOTOSHOP_TAG in directory else None
    if image.format == "PSD":
        return _resource(image, _IPTC_RESOURCE)
    resources = image.info.get("photoshop")
    if isinstance(resources, dict):
        data = resources.get(_IPTC_RESOURCE)
        return data if isinstance(data, bytes) and data else None
    legacy = image.info.get("Raw profile type iptc")
    if isinstance(legacy, str):
        data = _from_hex(legacy)
        return (_iptc_resource(data) if b"8BIM" in data[:32] else data) or None
    return None


def _resource(image: Image.Image, number: int) -> bytes | None:
    """One of the blocks that a PSD begins with."""
    blocks = getattr(image, "resources", ()) if image.format == "PSD" else ()
    return next(
        (data for kind, _, data in blocks if kind == number and isinstance(data, bytes) and data), None
    )


def _iptc_resource(data: bytes) -> bytes | None:
    """Out of Photoshop's blocks."""
    at = max(0, data[:32].find(b"8BIM"))
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        (kind,) = struct.unpack(">H", data[at + 4 : at + 6])
        name = (data[at + 6] + 2) // 2 * 2  # with its length, padded to even
        (size,) = struct.unpack(">I", data[at + 6 + name : at + 10 + name].rjust(4, b"\0"))
        start = at + 10 + name
        if kind == _IPTC_RESOURCE:
            return data[start : start + size] or None
        at = start + (size + 1) // 2 * 2
    return None


def iptc_segment(iptc: bytes) -> bytes | None:
    """As a marker segment of JPEG; None where it is too long for one."""
    block = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    block += bytes(len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block if len(block) <= 65533 else None


def iptc_text(iptc: bytes) -> str:
    """As ImageMagick and ExifTool keep it in PNG."""
    digits = iptc.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\niptc\n{len(iptc):8}\n{lines}\n"


def _from_hex(profile: str) -> bytes:
    try:
        return bytes.fromhex("".join(profile.strip("\n").split("\n")[2:]))
    except ValueError:
        return b""


def _read_texts(image: Image.Image) -> dict[str, str]:
    """PNG's texts, and the comments of JPEG and GIF as ``Comment``."""
    comment = image.info.get("comment")
    if image.format != "PNG":
        if isinstance(comment, bytes):
            raw = comment.rstrip(b"\0")
            try:
                comment = raw.decode()
            except UnicodeDecodeError:
                comment = raw.decode("latin-1")
        return {"Comment": comment} if isinstance(comment, str) and comment.strip() else {}
    known = image.info if getattr(image, "is_animated", False) else getattr(image, "text", {})
    texts = {str(key): value for key, value in known.items()}
    return {
        key: str(value)
        for key, value in texts.items()
        if isinstance(value, str) and key != "XML:com.adobe.xmp" and not key.startswith("Raw profile type ")
    }


def xmp_for_size(packet: bytes, width: int, height: int) -> bytes:
    """With the size of the picture that it is written with, where it says one."""
    for names, value in (
        (b"tiff:ImageWidth|exif:PixelXDimension", width),
        (b"tiff:ImageLength|exif:PixelYDimension", height),
    ):
        packet = re.sub(rb"(\b(?:" + names + rb')(?:\s*=\s*["\']|>))\d+', rb"\g<1>%d" % value, packet)
    return packet


def cleaned_xmp(packet: bytes, notices: list[str]) -> bytes:
    """Upright, and without declarations of parts that the new file does not have."""
    packet = _XMP_ORIENTATION.sub(rb"\g<1>1", packet)
    gone = set()
    container = _CONTAINER.search(packet)
    if container is not None:
        for word, sign in (
            ("gain map", b"GainMap"),
            ("motion photo", b"MotionPhoto"),
            ("depth map", b"Depth"),
        ):
            if sign in container[0]:
                gone.add(word)
        packet = _CONTAINER.sub(b"", packet)
    for word, name in _DECLARED.items():
        pattern = (
            rb"\s+"
            + name
            + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')|<("
            + name
            + rb")\b(?:[^>]*/>|[^>]*>.*?</\1\s*>)"
        )
        packet, count = re.subn(pattern, b"", packet, flags=re.DOTALL)
        if count:
            gone.add(word)
    notices.extend(f"{word} left out, and what the XMP says of it" for word in sorted(gone))
    return packet


def _tiff_dpi(directory: Directory) -> tuple[float, float] | None:
    unit = directory[296].first(2) if 296 in directory else 2
    both = [directory[tag].numbers() for tag in (282, 283) if tag in directory]
    if unit not in (2, 3) or len(both) < 2 or any(len(value) < 2 or not value[1] for value in both):
        return None
    x, y = (float(value[0] / value[1]) * (2.54 if unit == 3 else 1) for value in both)
    return x, y


def _read_dpi(given: Any, *, swapped: bool) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in given)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65535 for value in (x, y)):
        return None
    return (y, x) if swapped else (x, y)
