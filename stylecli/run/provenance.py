"""Provenance in the results' EXIF: a later run over the same folder knows them by it, and how they were made.

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
from stylecli.paint.settings import Settings, differences, fingerprint
from stylecli.run import listing
from stylecli.run.events import Event, Failed, Skipped
from stylecli.run.plan import Plan, Task

if TYPE_CHECKING:
    from stylecli.media import Picture

_TAG = int(ExifTags.Base.ProcessingSoftware)
_NAME = "stylecli"


def with_provenance(picture: Picture, settings: Settings = MappingProxyType({})) -> Picture:
    """``picture`` with this program's name in its EXIF, and the settings that it was made with. EXIF that cannot be
    taken apart stays as it is."""
    from stylecli.media.exif import exif_with_provenance

    return replace(picture, exif=exif_with_provenance(picture.exif, _TAG, _text(settings)))


def _text(settings: Settings) -> str:
    said = f" {json.dumps(dict(settings), separators=(',', ':'))}" if settings else ""
    return f"{_NAME} {__version__}{said}"


def has_provenance(path: Path) -> bool:
    """Whether the file at ``path`` is a result of this program. Reads its header alone; never raises."""
    return _provenance_of(path).startswith(_NAME)


def settings_of(path: Path) -> Settings | None:
    """What the result at ``path`` was made with; None where it does not say. Never raises."""
    text = _provenance_of(path)
    if not text.startswith(_NAME) or "{" not in text:
        return None
    try:
        found = json.loads(text[text.index("{") :])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _provenance_of(path: Path) -> str:
    from stylecli.media.pillow_guard import readable_formats

    try:
        with opened(path) as file, Image.open(file, formats=readable_formats()) as image:
            found = str(image.getexif().get(_TAG, ""))
    except Exception:
        return ""
    return found if found.startswith(_NAME) else listing.provenance_of(path)


def remember(path: Path, settings: Settings = MappingProxyType({})) -> None:
    """Keep the provenance of the result at ``path`` in its folder's list, where its format has no room for one."""
    # Bytes that were made before may come out again with other settings: the list says with which the last time.
    if not has_provenance(path) or (settings and settings_of(path) != json.loads(json.dumps(dict(settings)))):
        listing.add(path, _text(settings))


def sort_finished(
    plan: Plan,
    wanted: Callable[[Task], Settings],
    differing: Callable[[Path, Settings], Sequence[str]],
    emit: Callable[[Event], None],
) -> Plan:
    """``plan`` with those finished results alone that were made as is ``wanted`` now; the others are failures.

    ``differing(target, wanted)`` names what is known to differ, in words."""
    agreeing = []
    for task in plan.finished:
        words = differing(task.target, wanted(task))
        if not words:
            agreeing.append(task)
            emit(Skipped(task.source, task.target, task.style, "exists"))
            continue
        emit(Failed(task.source, f"{task.target} {made_otherwise(words)}", task.target, task.style))
    return replace(plan, finished=tuple(agreeing))


def made_otherwise(words: Sequence[str]) -> str:
    """What is said of a result that differs so from what is wanted."""
    return f"was made with other settings ({'; '.join(words)}): --overwrite makes it again, -o makes another"


def film_differs(target: Path, wanted: Settings) -> Sequence[str]:
    """By the provenance in a film, which has room for a fingerprint alone; an animated picture says more."""
    from stylecli.media.video.joining import made_with

    made = made_with(target)
    if made is None or "weights" not in wanted:
        return picture_differs(target, wanted)
    return [] if fingerprint(wanted).startswith(made) else ["options, styles or weights"]


def picture_differs(target: Path, wanted: Settings) -> Sequence[str]:
    """By the provenance in a picture."""
    return differences(settings_of(target) or {}, wanted)
