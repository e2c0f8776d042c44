"""Faces of a film: found in some of its frames, followed from one to the next, and the same at every run.

They are looked for before anything is painted, in a pass of its own: so a box can be smoothed by what comes after it,
too, gaps are bridged, and a run that goes on where another one stopped has the same masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stylecli.paint.faces import Box, find_faces, overlap, spared
from stylecli.paint.pixels import to_floats

if TYPE_CHECKING:
    from stylecli.media.video.clip import Frame
    from stylecli.paint.regions import MaskArray, Pixels
    from stylecli.run.face_report import Finding

_EVERY = 3  # one frame of so many is looked at
_SAME = 0.3  # overlap with the face's last place
_GAP = 0.7  # seconds for which a face may be lost
_SMOOTH = 0.15  # seconds: standard deviation of the average of places
_FADE = 0.3  # seconds before a face was found and after it was lost, in which it comes and goes
_FINDS = 3  # of a face that is believed
_CUT = 0.12  # mean difference of two frames, in 0..1, from which on they are of two scenes
_THUMB = (32, 18)


@dataclass
class Track:
    """One face: when and where it was found, and the seconds of its scene."""

    finds: list[tuple[float, Box]]
    begin: float
    end: float = math.inf

    def at(self, seconds: float) -> Box | None:
        """Its smoothed place, and how much of it counts; None where it is not seen."""
        first, last = self.finds[0][0], self.finds[-1][0]
        since = self.begin if first - self.begin <= _GAP else first
        until = self.end if self.end - last <= _GAP else last
        outside = max(since - seconds, seconds - until, 0.0)
        if outside >= _FADE or not self.begin <= seconds < self.end:
            return None
        left, top, width, height = self._place(min(max(seconds, first), last))
        return Box(left, top, width, height, 1 - outside / _FADE)

    def _place(self, seconds: float) -> list[float]:
        """Left, top, width and height by a line through the finds around a time."""
        near = [(when, box) for when, box in self.finds if abs(when - seconds) <= 2 * _GAP]
        apart = np.array([when - seconds for when, _ in near])
        places = np.array([box[:4] for _, box in near])
        weights = np.exp(-((np.abs(apart) - np.abs(apart).min()) ** 2) / (2 * _SMOOTH**2))
        weights /= weights.sum()
        mean, when = weights @ places, weights @ apart
        spread = weights @ (apart - when) ** 2 + _SMOOTH**2 / 10
        slope = (weights * (apart - when)) @ (places - mean) / spread
        place: list[float] = (mean - slope * when).tolist()
        return place


@dataclass(frozen=True)
class FaceTrack:
    """All faces of a film, as a mask: full but for them, where it is ``strength``."""

    strength: float
    tracks: Sequence[Track]

    def at(self, seconds: float) -> list[Box]:
        return [box for track in self.tracks if (box := track.at(seconds)) is not None]

    def of(self, photo: Pixels, seconds: float = 0.0) -> MaskArray:
        return spared(self.at(seconds), photo.shape[0], photo.shape[1], self.strength)


@dataclass
class _Follower:
    """Feeds on frames in order."""

    seen: int = 0
    tracks: list[Track] = field(default_factory=list)
    _scene: list[Track] = field(default_factory=list)
    _open: list[Track] = field(default_factory=list)
    _begin: float | None = None  # of the scene
    _thumb: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None

    def next(self, pixels: Pixels, seconds: float) -> None:
        if self._is_cut(pixels):
            self.end_scene(seconds)
        if self._begin is None:
            self._begin = seconds
        if self.seen % _EVERY == 0:
            self._follow(find_faces(pixels), seconds, self._begin)
        self.seen += 1

    def end_scene(self, seconds: float) -> None:
        for track in self._scene:
            track.end = seconds
        self._open, self._scene, self._begin, self.seen = [], [], None, 0

    def _is_cut(self, pixels: Pixels) -> bool:
        import cv2

        thumb = to_floats(np.asarray(cv2.resize(pixels, _THUMB, interpolation=cv2.INTER_AREA)))
        before, self._thumb = self._thumb, thumb
        return before is not None and float(np.abs(thumb - before).mean()) > _CUT

    def _follow(self, boxes: Iterable[Box], seconds: float, begin: float) -> None:
        self._open = [track for track in self._open if seconds - track.finds[-1][0] <= _GAP]
        free = list(self._open)
        for box in boxes:
            track = max(free, key=lambda one: overlap(one.finds[-1][1], box), default=None)
            if track is None or overlap(track.finds[-1][1], box) < _SAME:
                track = Track([], begin)
                for tracks in (self._open, self._scene, self.tracks):
                    tracks.append(track)
            else:
                free.remove(track)
            track.finds.append((seconds, box))


def follow_faces(
    frames: Iterable[tuple[float, Frame]], strength: float, check: Callable[[], None] = lambda: None
) -> FaceTrack:
    """The faces in ``frames``, each with its time in seconds. ``check`` is called before each and may raise.

    A face that was found only once or twice is none, except where the film is too short for more."""
    follower, count, seconds = _Follower(), 0, 0.0
    for seconds, frame in frames:
        check()
        follower.next(frame.pixels, seconds)
        count += 1
    follower.end_scene(math.nextafter(seconds, math.inf))
    finds = min(_FINDS, -(-count // _EVERY))
    return FaceTrack(strength, [track for track in follower.tracks if len(track.finds) >= finds])


def find_in_film(source: Path, frames: Callable[[], Iterable[tuple[float, Frame]]]) -> Finding:
    """How long faces are seen, and the frame that shows most of them; ``frames`` are read twice."""
    from stylecli.errors import InputError
    from stylecli.run.face_report import Finding

    times: list[float] = []

    def timed() -> Iterator[tuple[float, Frame]]:
        for seconds, frame in frames():
            times.append(seconds)
            yield seconds, frame

    track = follow_faces(timed(), 0.0)
    if not times:
        raise InputError(f"{source}: not one frame of it can be read")
    counts = [len(track.at(seconds)) for seconds in times]
    most = max(range(len(counts)), key=counts.__getitem__)
    frame = next(frame for number, (_, frame) in enumerate(frames()) if number == most)
    with_faces = sum(map(bool, counts))
    text = f" at {times[most]:.1f} s; in {with_faces} of {len(counts)} frames" if with_faces else ""
    return Finding(source, track.at(times[most]), frame.pixels, text)
