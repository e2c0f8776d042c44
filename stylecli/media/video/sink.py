"""Where painted frames go: a video file made of groups, an animated picture, numbered pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from stylecli.media.picture import FloatArray
from stylecli.media.video.clip import Frame, Part
from stylecli.media.video.encoder import Encoder
from stylecli.media.video.encoding import Coding
from stylecli.media.video.joining import Join
from stylecli.media.video.segments import write_segment
from stylecli.media.video.waiting import Waiting, restored
from stylecli.paint.pixels import to_whole


class Sink(Protocol):
    """Takes painted frames in order; a group of them is safe after ``cut``, which says in which files.

    ``begin`` says what an earlier run left: whole groups, and frames in them. ``finish`` gives the file its name and
    returns warnings; ``finish_partly`` makes something playable of what there is after an interrupt, if that is
    possible, and returns its path. All raise InputError where the place cannot be written.
    """

    resumable: bool
    bytes: int

    def begin(self, groups: int, frames: int) -> None: ...
    def add(self, frame: Frame, painted: FloatArray) -> None: ...
    def cut(self) -> Part: ...
    def finish(self, last_duration: int) -> list[str]: ...
    def finish_partly(self, last_duration: int) -> Path | None: ...


@dataclass
class FilmSink:
    """A video file. Encoded groups of pictures, and frames that wait for the rest of theirs, are kept in ``folder``
    until all are joined."""

    target: Path
    coding: Coding
    folder: Path
    film: Path | None
    """The film whose sound and metadata are taken over; None where there are none."""
    begins: Fraction = Fraction(0)
    is_excerpt: bool = False
    made: str = ""
    """Fingerprint of the settings."""
    first: int = 0
    """The group of a stretch at which what is kept begins, with a group of pictures; earlier ones are a run-up."""
    resumable = True
    bytes: int = field(init=False, default=0)

    def begin(self, groups: int, frames: int) -> None:
        self._encoder, self._waiting = Encoder(self.coding), Waiting(self.coding)
        self._per = self.coding.groups_in_gop
        self._groups, self._gops, self._added = groups, max(groups, self.first) // self._per, False
        self._alpha_lost = False
        self._written = sum(path.stat().st_size for path in self._paths())
        for number in range(self._gops * self._per, groups):
            for frame in restored(self._waiting_path(number), self.coding):
                self._encoder.encode(frame)
        self.bytes = self._written + self._encoder.size

    def add(self, frame: Frame, painted: FloatArray) -> None:
        self._added = True
        if self._groups < self.first:
            return
        dtype = np.uint16 if self.coding.is_deep else np.uint8
        ready = self._encoder.prepared(to_whole(painted, dtype), frame.pts, frame.duration, frame.alpha)
        if self._groups % self._per < self._per - 1:  # the last group completes the others
            self._waiting.add(ready, self._waiting_path(self._groups))
        self._encoder.encode(ready)
        hidden = frame.alpha is not None and frame.alpha.min() < np.iinfo(frame.alpha.dtype).max
        self._alpha_lost |= hidden and not self.coding.has_alpha and not self.coding.clip.alpha
        self.bytes = self._written + self._encoder.size

    def cut(self) -> Part:
        if not self._added:
            return Part()
        self._added = False
        if self._groups < self.first:
            self._groups += 1
            return Part()
        done = self._gops * self._per
        for number in range(max(0, done - self._per), done):  # nothing waits for those any more
            self._waiting_path(number).unlink(missing_ok=True)
        self._waiting.close()
        self._groups += 1
        if self._groups % self._per == 0:
            return Part((self._close_gop(),), self._per)
        return Part((self._waiting_path(self._groups - 1),))

    def finish(self, last_duration: int) -> list[str]:
        said = self.close()
        return [*self.join(self._paths(), last_duration), *said]

    def finish_partly(self, last_duration: int) -> Path | None:
        if not self._groups:
            return None
        self.close()
        path = partial_path(self.target)
        self._joined(self._paths(), last_duration, True).write(path)
        return path

    def close(self) -> list[str]:
        """The last group of pictures is in its file too; returns warnings."""
        if self._groups % self._per and self._groups > self.first:
            self._close_gop()
        return [f"its transparency is left out: {self.coding.pix_fmt} has none"] if self._alpha_lost else []

    def join(self, segments: Sequence[Path], last_duration: int) -> list[str]:
        """Write the film, of groups that may lie anywhere; returns warnings."""
        said = self._joined(segments, last_duration, self.is_excerpt).write(self.target)
        self.bytes = self.target.stat().st_size
        return said

    def _joined(self, segments: Sequence[Path], last_duration: int, trim: bool) -> Join:
        return Join(segments, self.coding, last_duration, self.film, self.begins, trim, self.made)

    def _close_gop(self) -> Path:
        path = self._path(self._gops)
        self._written += write_segment(path, self._encoder.close())
        self._gops += 1
        return path

    def _paths(self) -> list[Path]:
        return [self._path(number) for number in range(self.first // self._per, self._gops)]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.group"

    def _waiting_path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.frames"


def partial_path(target: Path) -> Path:
    """Under which name an interrupted film can be looked at."""
    return target.with_name(f"{target.stem}.partial{target.suffix}")
