"""A film's tags: which are taken over, and which of them a container does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

_OWN = (
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "software",
    "duration",
)  # of each file itself


def kept(tags: Mapping[str, str]) -> dict[str, str]:
    """The film's own, without those that only describe its file."""
    plain = {key.lower() for key in tags}
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _OWN and not (key.endswith("-eng") and key[:-4].lower() in plain)
    }


def wants_quicktime_keys(tags: Mapping[str, str]) -> bool:
    """Whether there are tags as phones write them (com.apple.quicktime.make), which need another place in MP4."""
    return any(key.lower().startswith("com.") for key in tags)


def carry(film: InputContainer, output: OutputContainer, original: VideoStream, painted: VideoStream) -> None:
    """Take over the film's tags and its picture's."""
    output.metadata.update(kept(film.metadata))
    for key, value in original.metadata.items():
        if key.lower() == "name":  # as MP4's title is read
            painted.metadata.setdefault("title", value)
        elif key.lower() not in ("encoder", "vendor_id", "alpha_mode") and not key.upper().startswith(
            ("DURATION", "NUMBER_OF_", "_STAT", "BPS")
        ):
            painted.metadata[key] = value
    if original.disposition & Disposition.default:
        painted.disposition = Disposition.default


def chapters(film: InputContainer, begins: Fraction, end: Fraction | None) -> list[Any]:
    """The film's chapters as the result counts time, those that lie in it."""
    moved = []
    for chapter in film.chapters():
        base = Fraction(chapter["time_base"] or 1)
        shift = round(begins / base)
        last = chapter["end"] if end is None else min(chapter["end"], round((end + begins) / base))
        start = max(0, chapter["start"] - shift)
        if last - shift > start:
            moved.append({**chapter, "start": start, "end": last - shift})
    return moved


def missing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Names of the tags that did not come through."""
    there = {key.lower() for key in found}
    return sorted(key for key in kept(wanted) if key.lower() not in there)
