"""Where painted frames go: a video file made of groups, an animated picture, numbered pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from stylecli.media.picture import FloatArray
from stylecli.media.video.clip import Frame
from stylecli.media.video.encoding import Coding, Encoder
from stylecli.media.video.joining import Join
from stylecli.media.video.segments import write_segment
from stylecli.paint.pixels import to_whole


class Sink(Protocol):
    """Takes painted frames in order; a group of them is safe after ``cut``, which returns the files that it is in.

    ``begin`` says what an earlier run left: whole groups, and frames in them. ``finish`` gives the file its name and
    returns warnings; ``finish_partly`` makes something playable of what there is after an interrupt, if that is
    possible, and returns its path. All raise InputError where the place cannot be written.
    """

    resumable: bool
    bytes: int

    def begin(self, groups: int, frames: int) -> None: ...
    def add(self, frame: Frame, painted: FloatArray) -> None: ...
    def cut(self) -> Sequence[Path]: ...
    def finish(self, last_duration: int) -> list[str]: ...
    def finish_partly(self, last_duration: int) -> Path | None: ...


@dataclass
class FilmSink:
    """A video file. Groups are kept in ``folder`` until they are joined."""

    target: Path
    coding: Coding
    folder: Path
    film: Path | None
    """The film whose sound and metadata are taken over; None where there are none."""
    begins: Fraction = Fraction(0)
    is_excerpt: bool = False
    resumable = True
    bytes: int = field(init=False, default=0)

    def begin(self, groups: int, frames: int) -> None:
        self._groups = groups
        self._encoder = Encoder(self.coding)
        self.bytes = sum(path.stat().st_size for path in self._paths())

    def add(self, frame: Frame, painted: FloatArray) -> None:
        dtype = np.uint16 if self.coding.is_deep else np.uint8
        self._encoder.add(to_whole(painted, dtype), frame.pts, frame.duration, frame.alpha)

    def cut(self) -> Sequence[Path]:
        packets = self._encoder.close()
        if not packets:
            return ()
        path = self._path(self._groups)
        self.bytes += write_segment(path, packets)
        self._groups += 1
        return (path,)

    def finish(self, last_duration: int) -> list[str]:
        said = self._join(self.target, last_duration, self.is_excerpt)
        self.bytes = self.target.stat().st_size
        return said

    def finish_partly(self, last_duration: int) -> Path | None:
        if not self._groups:
            return None
        path = partial_path(self.target)
        self._join(path, last_duration, True)
        return path

    def _join(self, target: Path, last_duration: int, trim: bool) -> list[str]:
        return Join(self._paths(), self.coding, last_duration, self.film, self.begins, trim).write(target)

    def _paths(self) -> list[Path]:
        return [self._path(number) for number in range(self._groups)]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.group"


def partial_path(target: Path) -> Path:
    """Under which name an interrupted film can be looked at."""
    return target.with_name(f"{target.stem}.partial{target.suffix}")
