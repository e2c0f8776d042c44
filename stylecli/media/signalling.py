"""What a file says of its colours beside a profile (cICP, sRGB, gAMA and cHRM in PNG, nclx in AVIF, EXIF's Adobe RGB),
and whether it is lossless. All of it becomes a profile, so that one way leads there and back.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
from PIL import Image

from stylecli.media.colour import ProfileError, rgb_profile
from stylecli.media.exif import ExifBlock
from stylecli.media.icc import Chromaticities, make_profile, srgb_to_linear
from stylecli.media.ifd import Directory
from stylecli.media.picture import FloatArray, WholeArray, WordArray
from stylecli.paint.pixels import to_depth

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
# ITU-T H.273, table 2: name, and x, y of white, red, green, blue.
_PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)),
    4: ("BT.470 M", (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("BT.470 BG", (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("BT.601", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("SMPTE 240M", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    9: ("BT.2020", (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    22: ("EBU 3213", (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}
_ADOBE: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
# Table 3. The curves of television are shown like sRGB's, as browsers do.
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_UNSPECIFIED = 2
HDR = {16: "PQ", 18: "HLG"}
_USUAL_GAMMA = 0.45455  # what writers of sRGB say
_HEAD = 1 << 16


@dataclass(frozen=True)
class Signalled:
    """``icc``: a profile for what is said; None where that is sRGB, or nothing. ``hdr``: PQ or HLG. ``depth``: bits of
    a sample where Pillow drops some of them. ``final``: a profile in the file counts for nothing. ``lossless``:
    writing it with loss would take something away."""

    icc: bytes | None = None
    hdr: str | None = None
    depth: int = 8
    final: bool = False
    lossless: bool = False


def read_signalled(image: Image.Image, stream: BinaryIO) -> Signalled:
    """Of an opened image; reads little of its file."""
    stream.seek(0)
    head = stream.read(_HEAD)
    if image.format == "PNG":
        return _of_png(head, image.mode)
    if image.format == "AVIF":
        return _of_avif(head)
    if image.format == "JPEG2000":
        return Signalled(_profile_of_jp2(head), depth=_depth_of_jp2(head))
    if image.format == "WEBP":
        return Signalled(lossless=_is_lossless_webp(head))
    return Signalled()


def adobe_rgb(block: ExifBlock | None) -> bytes | None:
    """A profile where cameras say Adobe RGB by EXIF alone (DCF 2.0: colour space none of the known, version R03)."""
    if block is None or 0xA001 not in block.photo or 1 not in block.interop:
        return None
    if block.photo[0xA001].first() == 0xFFFF and block.interop[1].text == "R03":
        return make_profile("Adobe RGB (1998) compatible", _ADOBE, 2.19921875)
    return None


def profile_of_tiff(directory: Directory) -> bytes | None:
    """Of a page that says its white, primaries and curve by itself (TIFF 6.0, section 20)."""
    ratios = [directory[tag].numbers() for tag in (318, 319) if tag in directory]
    if (
        len(ratios) != 2
        or [len(row) for row in ratios] != [4, 12]
        or any(not v for row in ratios for v in row[1::2])
    ):
        return None
    white, primaries = ([a / b for a, b in zip(row[::2], row[1::2], strict=True)] for row in ratios)
    curve: FloatArray | float = _srgb_curve()
    if 301 in directory:
        # One curve, or three: the first serves.
        steps = (np.array(directory[301].numbers()) / 65535).astype(np.float32)
        steps = steps[: len(steps) // 3] if len(steps) in (768, 196608) else steps
        if len(steps) in (256, 65536) and steps[-1] > steps[0]:
            curve = steps[:: max(1, len(steps) // 4096)]
            curve = np.append(curve, steps[-1]).astype(np.float32) if len(steps) > 4096 else curve
    points: Chromaticities = (white[0], white[1], *primaries)  # type: ignore[assignment]
    return _without_srgb("as the TIFF says", points, curve)


def tone_mapped(pixels: WholeArray, transfer: str) -> WordArray:
    """HDR in BT.2020's primaries to sRGB, 16 bits."""
    from stylecli.media.video.colour import Colour
    from stylecli.media.video.hdr import ToneMapper

    code = next(number for number, name in HDR.items() if name == transfer)
    sdr = ToneMapper(Colour(primaries=9, transfer=code)).to_sdr(to_depth(pixels, np.uint16))
    light = np.linspace(0, 1, 65536) ** 2.4  # what films are shown with
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(signal * 65535).astype(np.uint16)[sdr])


def _of_cicp(primaries: int, transfer: int) -> tuple[bytes | None, str | None]:
    if transfer in HDR:
        return None, HDR[transfer]
    if primaries not in _PRIMARIES:
        primaries = 1
    name, points = _PRIMARIES[primaries]
    return _profile(name, points, _GAMMAS.get(transfer)), None


@lru_cache(maxsize=8)
def _profile(name: str, points: Chromaticities, gamma: float | None) -> bytes | None:
    """With a gamma, or sRGB's curve; None where the result is sRGB."""
    return _without_srgb(name, points, _srgb_curve() if gamma is None else gamma)


def _without_srgb(name: str, points: Chromaticities, curve: FloatArray | float) -> bytes | None:
    """A profile, or None for what is sRGB and for nonsense, such as three primaries in a line."""
    if not all(0 < value < 1 for value in points):
        return None
    try:
        icc = make_profile(name, points, curve)
        return None if rgb_profile(icc).is_srgb else icc
    except (ProfileError, ValueError, struct.error, np.linalg.LinAlgError):
        return None


def _srgb_curve() -> FloatArray:
    return srgb_to_linear(np.linspace(0, 1, 4096, dtype=np.float32))


def _of_png(head: bytes, mode: str) -> Signalled:
    chunks = _png_chunks(head)
    if "cICP" in chunks and len(chunks["cICP"]) == 4:
        primaries, transfer, _, full = chunks["cICP"]
        if full:
            icc, hdr = _of_cicp(primaries, transfer)
            return Signalled(icc, hdr, final=True)
    if "iCCP" in chunks or "sRGB" in chunks:
        return Signalled()
    try:
        gamma = struct.unpack(">I", chunks["gAMA"])[0] / 100000 if "gAMA" in chunks else _USUAL_GAMMA
        points = (
            [value / 100000 for value in struct.unpack(">8I", chunks["cHRM"])] if "cHRM" in chunks else None
        )
    except struct.error:
        return Signalled()
    usual = abs(gamma - _USUAL_GAMMA) < 0.01
    if usual and points is None:
        return Signalled()
    srgb = _PRIMARIES[1][1]
    if points is None or max(abs(a - b) for a, b in zip(points, srgb, strict=True)) < 0.003:
        points = list(srgb)
    if not 0.02 < gamma < 5 or min(points[1::2]) <= 0.01:
        return Signalled()
    w, x, *rest = points
    chromaticities: Chromaticities = (w, x, rest[0], rest[1], rest[2], rest[3], rest[4], rest[5])
    return Signalled(_profile("as the PNG says", chromaticities, None if usual else round(1 / gamma, 4)))


def _png_chunks(head: bytes) -> dict[str, bytes]:
    """Those before the pixels, the first of each name."""
    found: dict[str, bytes] = {}
    at = 8
    while at + 8 <= len(head):
        size, name = struct.unpack(">I4s", head[at : at + 8])
        if name == b"IDAT":
            break
        found.setdefault(name.decode("latin-1"), head[at + 8 : at + 8 + size])
        at += 12 + size
    return found


def _of_avif(head: bytes) -> Signalled:
    at = head.find(b"av1C")
    depth = 8
    if at > 0 and at + 7 <= len(head) and head[at + 6] & 0x40:
        depth = 12 if head[at + 6] & 0x20 else 10
    at = head.find(b"colrnclx")
    if at < 0 or at + 15 > len(head):
        return Signalled(depth=depth)
    primaries, transfer, matrix = struct.unpack(">3H", head[at + 8 : at + 14])
    icc, hdr = _of_cicp(primaries, transfer)
    return Signalled(icc, hdr, depth, lossless=matrix == 0)


def _depth_of_jp2(head: bytes) -> int:
    """Bits of the first of its components."""
    at = head.find(b"\xff\x51")  # the marker segment SIZ
    return (head[at + 40] & 0x7F) + 1 if 0 < at < len(head) - 40 else 8


def _profile_of_jp2(head: bytes) -> bytes | None:
    """Of its colour box, where that holds one (method 2 or 3)."""
    at = head.find(b"colr")
    if at < 4 or at + 7 > len(head) or head[at + 4] not in (2, 3):
        return None
    return head[at + 7 : at - 4 + int.from_bytes(head[at - 4 : at], "big")] or None


def _is_lossless_webp(head: bytes) -> bool:
    """By the first chunk that holds pixels."""
    at = 12
    while at + 8 <= len(head):
        name, size = struct.unpack("<4sI", head[at : at + 8])
        if name == b"ANMF":  # a frame, with chunks of its own behind its place and time
            at += 8 + 16
            continue
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        at += 8 + size + size % 2
    return False
