"""Which file names are images, and which suffix an output gets."""

from __future__ import annotations

import importlib.util
from functools import cache

from PIL import Image

from stylecli.errors import UsageError
from stylecli.media.pillow_guard import readable_formats

# Suffix -> Pillow's format, for everything that is written. All hold 8-bit RGB, but GIF with its 256 colours.
WRITERS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".tga": "TGA",
    ".ppm": "PPM",
    ".gif": "GIF",
}

# Inputs of these kinds give an output of the same kind; all others give a PNG.
_KEPT = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp"}
_SUFFIX_OF_FORMAT = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "WEBP": ".webp",
    "TIFF": ".tiff",
    "BMP": ".bmp",
    "JPEG2000": ".jp2",
}


# Pictures that people have and Pillow alone cannot read: what they are, and what helps.
_HEIF = ("HEIC photo", "pip install pillow-heif lets them be read")
_JXL = ("JPEG XL picture", "pip install pillow-jxl-plugin lets them be read")
_EXR = ("OpenEXR picture", "pip install 'stylecli[exr]' lets them be read")
_LIGHT = ("Radiance HDR picture", "export them as TIFF or PNG first")
_RAW = (
    "camera raw file",
    "pip install 'stylecli[raw]' lets them be read, or develop them to TIFF or JPEG first",
)
_RAW_SUFFIXES = (
    "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
)
_FOREIGN = {".heic": _HEIF, ".heif": _HEIF, ".hif": _HEIF, ".jxl": _JXL, ".exr": _EXR, ".hdr": _LIGHT} | {
    f".{name}": _RAW for name in _RAW_SUFFIXES.split()
}


@cache
def develops() -> bool:
    """Whether cameras' raw files can be read here (rawpy, extra ``[raw]``)."""
    return importlib.util.find_spec("rawpy") is not None


@cache
def reads_exr() -> bool:
    """Whether OpenEXR pictures can be read here (OpenEXR, extra ``[exr]``)."""
    return importlib.util.find_spec("OpenEXR") is not None


@cache
def readable_suffixes() -> frozenset[str]:
    """Lower-case suffixes (with the dot) by which a folder's images are recognised."""
    formats = set(readable_formats())
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in formats}
    raw = {f".{name}" for name in _RAW_SUFFIXES.split()} if develops() else set()
    exr = {".exr"} if reads_exr() else set()
    return frozenset(known | ({".mpo"} if "JPEG" in formats else set()) | raw | exr)


@cache
def foreign_suffixes() -> dict[str, tuple[str, str]]:
    """Suffixes of pictures that cannot be read here: what they are, and what would help."""
    return {suffix: what for suffix, what in _FOREIGN.items() if suffix not in readable_suffixes()}


@cache
def writable_suffixes() -> tuple[str, ...]:
    """Lower-case suffixes (with the dot) that ``write_picture`` accepts on this machine."""
    readable_formats()  # registers the plugins, and with them what this build of Pillow can save
    return tuple(suffix for suffix, name in WRITERS.items() if name in Image.SAVE)


def writer_for(suffix_or_format: str) -> str | None:
    """Pillow's format for ``.jpg``, ``jpg`` or ``JPEG`` (any case); None when it is not written."""
    suffix = _as_suffix(suffix_or_format)
    return WRITERS[suffix] if suffix in writable_suffixes() else None


def output_suffix(input_suffix_or_format: str, requested: str | None = None) -> str:
    """The suffix, with its dot and in lower case, of the output made from such an input.

    Without ``requested``: jpg/jpeg, png, webp, tif/tiff and bmp stay what they are, everything else
    (gif, psd and legacy formats) becomes ``.png``, and cameras' raw files ``.tiff``. ``requested``
    is the user's ``--format``: a suffix or a format's name. Raises ``UsageError`` when that format is not written.
    """
    if requested is not None:
        if writer_for(requested) is None:
            known = ", ".join(suffix[1:] for suffix in writable_suffixes())
            raise UsageError(f"--format {requested}: not a format that can be written; choose one of {known}")
        return _as_suffix(requested)
    suffix = _as_suffix(input_suffix_or_format)
    suffix = ".jpg" if suffix == ".mpo" else ".tiff" if suffix[1:] in _RAW_SUFFIXES.split() else suffix
    return suffix if suffix in _KEPT else ".png"


def _as_suffix(suffix_or_format: str) -> str:
    text = suffix_or_format.strip().lower()
    return text if text.startswith(".") else _SUFFIX_OF_FORMAT.get(text.upper(), f".{text}")
