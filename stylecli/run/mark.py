"""A mark in the results' EXIF, by which a later run over the same folder knows them.

The tag is ProcessingSoftware: made for this, and used by nobody's camera, unlike Software.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from stylecli import __version__

if TYPE_CHECKING:
    from stylecli.media import Picture

_TAG = int(ExifTags.Base.ProcessingSoftware)
_NAME = "stylecli"


def mark(picture: Picture) -> Picture:
    """``picture`` with the mark in its EXIF. EXIF that cannot be taken apart stays as it is, unmarked."""
    try:
        exif = Image.Exif()
        if picture.exif:
            exif.load(picture.exif)
            for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                if block in exif:
                    exif.get_ifd(block)  # pulled in now: tobytes() would write pointers into nothing
        exif[_TAG] = f"{_NAME} {__version__}"
        return replace(picture, exif=exif.tobytes())
    except Exception:  # a parser over bytes that anyone may have written; the mark is not worth a failure
        return picture


def is_marked(path: Path) -> bool:
    """Whether the file at ``path`` is a result of this program. Reads its header alone; never raises."""
    from stylecli.media.pillow_guard import readable_formats

    try:
        with Image.open(path, formats=readable_formats()) as image:
            return str(image.getexif().get(_TAG, "")).startswith(_NAME)
    except Exception:
        return False
