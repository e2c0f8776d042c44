"""One encoded group of frames in a file of its own, until all of them are joined.

Packets as the encoder gave them, behind one line of JSON that says how long each is: no container keeps every codec's
packets and any time base unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stylecli.errors import InputError
from stylecli.files.atomic import atomic_file
from stylecli.media.video.encoder import Coded


@dataclass(frozen=True)
class Entry:
    """A packet in the index of a segment: its size, and that of its transparency behind it."""

    size: int
    pts: int
    key: bool
    alpha: int


def write_segment(path: Path, packets: Sequence[Coded]) -> int:
    """Write a segment, whole or not at all; its size in bytes. Raises InputError."""
    index = json.dumps(
        [[len(packet.data), packet.pts, int(packet.key), len(packet.alpha)] for packet in packets]
    )
    with atomic_file(path) as file:
        file.write(index.encode() + b"\n")
        for packet in packets:
            file.write(packet.data + packet.alpha)
    return path.stat().st_size


def read_index(path: Path) -> list[Entry]:
    """What is in a segment, in the order of coding. Raises InputError."""
    with _damage(path), path.open("rb") as file:
        return _index(file)


def read_segment(path: Path) -> Iterator[Coded]:
    """The packets of a segment, in the order of coding. Raises InputError."""
    with _damage(path), path.open("rb") as file:
        for entry in _index(file):
            data, alpha = file.read(entry.size), file.read(entry.alpha)
            if len(data) + len(alpha) < entry.size + entry.alpha:
                raise ValueError("it is cut off")
            yield Coded(data, entry.pts, entry.key, alpha)


def _index(file: BinaryIO) -> list[Entry]:
    return [Entry(size, pts, bool(key), alpha) for size, pts, key, alpha in json.loads(file.readline())]


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: this part of an interrupted run is damaged ({error}): --overwrite begins again"
        ) from error
