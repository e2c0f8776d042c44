"""One encoded group of frames in a file of its own, until all of them are joined.

Packets as the encoder gave them, behind one line of JSON that says how long each is: no container keeps every codec's
packets and any time base unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylecli.files.atomic import atomic_file
from stylecli.media.video.encoding import Coded


@dataclass(frozen=True)
class Entry:
    """A packet in the index of a segment."""

    size: int
    pts: int
    key: bool


def write_segment(path: Path, packets: Sequence[Coded]) -> int:
    """Write a segment, whole or not at all; its size in bytes. Raises InputError."""
    index = json.dumps([[len(packet.data), packet.pts, int(packet.key)] for packet in packets])
    with atomic_file(path) as file:
        file.write(index.encode() + b"\n")
        for packet in packets:
            file.write(packet.data)
    return path.stat().st_size


def read_index(path: Path) -> list[Entry]:
    """What is in a segment, in the order of coding."""
    with path.open("rb") as file:
        return [Entry(size, pts, bool(key)) for size, pts, key in json.loads(file.readline())]


def read_segment(path: Path) -> Iterator[Coded]:
    """The packets of a segment, in the order of coding."""
    with path.open("rb") as file:
        for size, pts, key in json.loads(file.readline()):
            yield Coded(file.read(size), pts, bool(key))
