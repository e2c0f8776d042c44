"""A film's tags: which are taken over, and which of them a container does not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

_OWN = (
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "software",
    "duration",
)  # of each file itself


_OF_STREAMS = ("encoder", "vendor_id", "duration", "alpha_mode")
_COUNTED = ("DURATION-", "NUMBER_OF_", "_STAT", "BPS")  # by Matroska's muxers
# QuickTime has numbers for languages, which FFmpeg finds under these names only.
_QUICKTIME = {
    "deu": "ger",
    "nld": "dut",
    "swe": "sve",
    "ell": "gre",
    "isl": "ice",
    "zho": "chi",
    "fre": "fra",
}
_UNKNOWN = ("", "und")


def language(name: str, format: str) -> str:
    """A language as a file of this format names it."""
    return _QUICKTIME.get(name, name) if format == "mov" else name


def describe(tags: Mapping[str, str], stream: Stream, format: str) -> None:
    """Take over what a stream says of itself, its language and title among it."""
    for key, value in tags.items():
        if key.lower() == "name":  # as MP4's title is read
            stream.metadata.setdefault("title", value)
        elif key.lower() == "language":
            stream.metadata["language"] = language(value, format)
        elif key.lower() not in _OF_STREAMS and not key.upper().startswith(_COUNTED):
            stream.metadata[key] = value


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
    describe(original.metadata, painted, output.format.name)
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


def missing_of_streams(
    wanted: Mapping[int, Mapping[str, str]], found: Sequence[Mapping[str, str]]
) -> list[str]:
    """Languages and titles of streams (by their number) that none of those that were written has."""
    titles = {tags.get("title") or tags.get("name") for tags in found}
    languages = {tags.get("language") for tags in found}
    lost = []
    for number, tags in wanted.items():
        title, spoken = tags.get("title") or tags.get("name"), tags.get("language", "")
        if title and title not in titles:
            lost.append(f"the title of stream {number} ({title})")
        if spoken not in _UNKNOWN and languages.isdisjoint((spoken, language(spoken, "mov"))):
            lost.append(f"the language of stream {number} ({spoken})")
    return lost
