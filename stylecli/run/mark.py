"""A mark in the results' EXIF, by which a later run over the same folder knows them.

The tag is ProcessingSoftware: made for this, and used by nobody's camera, unlike Software.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from stylecli import __version__
from stylecli.run import listing

if TYPE_CHECKING:
    from stylecli.media import Picture

_TAG = int(ExifTags.Base.ProcessingSoftware)
_NAME = "stylecli"


def mark(picture: Picture) -> Picture:
    """``picture`` with the mark in its EXIF. EXIF that cannot be taken apart stays as it is, unmarked."""
    from stylecli.media.exif import marked_exif

    return replace(picture, exif=marked_exif(picture.exif, _TAG, f"{_NAME} {__version__}"))


def is_marked(path: Path) -> bool:
    """Whether the file at ``path`` is a result of this program. Reads its header alone; never raises."""
    from stylecli.media.pillow_guard import readable_formats

    try:
        with Image.open(path, formats=readable_formats()) as image:
            if str(image.getexif().get(_TAG, "")).startswith(_NAME):
                return True
    except Exception:
        return False
    return listing.mark_of(path).startswith(_NAME)


def remember(path: Path, text: str = f"{_NAME} {__version__}") -> None:
    """Keep the mark of the result at ``path`` in its folder's list, where its format has no room for one."""
    if not is_marked(path):
        listing.add(path, text)
