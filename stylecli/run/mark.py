"""A mark in the results' EXIF, by which a later run over the same folder knows them, and how they were made.

The tag is ProcessingSoftware: made for this, and used by nobody's camera, unlike Software.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from stylecli import __version__
from stylecli.files.remote import opened
from stylecli.paint.options import Settings, differences, fingerprint
from stylecli.run import listing
from stylecli.run.events import Event, Failed, Skipped
from stylecli.run.plan import Item, Plan

if TYPE_CHECKING:
    from stylecli.media import Picture

_TAG = int(ExifTags.Base.ProcessingSoftware)
_NAME = "stylecli"


def mark(picture: Picture, settings: Settings = MappingProxyType({})) -> Picture:
    """``picture`` with the mark in its EXIF, and the settings that it was made with. EXIF that cannot be taken apart
    stays as it is, unmarked."""
    from stylecli.media.exif import marked_exif

    return replace(picture, exif=marked_exif(picture.exif, _TAG, _text(settings)))


def _text(settings: Settings) -> str:
    said = f" {json.dumps(dict(settings), separators=(',', ':'))}" if settings else ""
    return f"{_NAME} {__version__}{said}"


def is_marked(path: Path) -> bool:
    """Whether the file at ``path`` is a result of this program. Reads its header alone; never raises."""
    return _mark_of(path).startswith(_NAME)


def settings_of(path: Path) -> Settings | None:
    """What the result at ``path`` was made with; None where it does not say. Never raises."""
    text = _mark_of(path)
    if not text.startswith(_NAME) or "{" not in text:
        return None
    try:
        found = json.loads(text[text.index("{") :])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _mark_of(path: Path) -> str:
    from stylecli.media.pillow_guard import readable_formats

    try:
        with opened(path) as file, Image.open(file, formats=readable_formats()) as image:
            found = str(image.getexif().get(_TAG, ""))
    except Exception:
        return ""
    return found if found.startswith(_NAME) else listing.mark_of(path)


def remember(path: Path, settings: Settings = MappingProxyType({})) -> None:
    """Keep the mark of the result at ``path`` in its folder's list, where its format has no room for one."""
    # Bytes that were made before may come out again with other settings: the list says with which the last time.
    if not is_marked(path) or (settings and settings_of(path) != json.loads(json.dumps(dict(settings)))):
        listing.add(path, _text(settings))


def sort_finished(
    plan: Plan,
    wanted: Callable[[Item], Settings],
    differing: Callable[[Path, Settings], Sequence[str]],
    emit: Callable[[Event], None],
) -> Plan:
    """``plan`` with those finished results alone that were made as is ``wanted`` now; the others are failures.

    ``differing(target, wanted)`` names what is known to differ, in words."""
    agreeing = []
    for item in plan.finished:
        words = differing(item.target, wanted(item))
        if not words:
            agreeing.append(item)
            emit(Skipped(item.source, item.target, item.style, "exists"))
            continue
        emit(Failed(item.source, f"{item.target} {made_otherwise(words)}", item.target, item.style))
    return replace(plan, finished=tuple(agreeing))


def made_otherwise(words: Sequence[str]) -> str:
    """What is said of a result that differs so from what is wanted."""
    return f"was made with other settings ({'; '.join(words)}): --overwrite makes it again, -o makes another"


def film_differs(target: Path, wanted: Settings) -> Sequence[str]:
    """By the mark in a film, which has room for a fingerprint alone; an animated picture says more."""
    from stylecli.media.video.joining import made_with

    made = made_with(target)
    if made is None or "weights" not in wanted:
        return picture_differs(target, wanted)
    return [] if fingerprint(wanted).startswith(made) else ["options, styles or weights"]


def picture_differs(target: Path, wanted: Settings) -> Sequence[str]:
    """By the mark in a picture."""
    return differences(settings_of(target) or {}, wanted)
