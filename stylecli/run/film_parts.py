"""One film on several workers: stretches of it, each begun where the temporal step needs nothing from before.

A stretch holds whole groups of pictures, for an encoder gives the same only where it begins with the same frame. Scenes
begin where they like: so a stretch is painted from the beginning of the scene that is going on at its first frame, and
what comes before that frame (the run-up) is thrown away. Where a scene is so long that this would cost too much, the
film is not cut. Where the cuts are depends on the film alone, so that a run with other workers goes on with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError
from stylecli.media.video.clip import Frame
from stylecli.media.video.encoding import GOP_FRAMES
from stylecli.media.video.reading import VideoSource
from stylecli.media.video.source import open_source
from stylecli.paint.settings import Settings
from stylecli.run.film_checkpoint import FilmCheckpoint
from stylecli.run.film_inputs import workplace
from stylecli.run.plan import Task

if TYPE_CHECKING:
    from stylecli.run.films import FilmJob

log = logging.getLogger(__name__)

SHARED = "shared"
"""Stands in the checkpoint of a film that several work on."""

_MOST = 64  # stretches of a film of which each worker must decode what comes before its own
_RUN_UP = 0.25  # of a stretch, at most


@dataclass(frozen=True)
class Stretch(Task):
    """Frames ``first`` to ``end`` of a film, painted from ``begin`` on. ``target`` is where they wait for the others,
    ``film`` the result."""

    film: Path
    begin: int
    first: int
    end: int
    is_last: bool
    known: tuple[int, int] | None = None  # see VideoSource

    @property
    def settings(self) -> Settings:
        return {"begin": self.begin, "first": self.first, "end": self.end}


@dataclass(frozen=True)
class Joining(Task):
    """All stretches are there: make the film of them."""

    stretches: tuple[Stretch, ...]


def scene_cuts(frames: Iterable[Frame]) -> tuple[list[int], list[int]]:
    """The frames at which a new scene begins for the temporal step, and when each frame is shown."""
    from stylecli.run.motion import MotionEstimator

    estimator = MotionEstimator()
    cuts, times = [], []
    for number, frame in enumerate(frames):
        if estimator.is_cut(frame.pixels):
            cuts.append(number)
        times.append(frame.pts)
    return cuts, times


def stretches(
    task: Task, cuts: Sequence[int] | None, times: Sequence[int], gop: int, *, entered: bool = False
) -> list[Stretch]:
    """``task``, a film whose frames are shown at ``times``, in groups of pictures of ``gop`` frames each. ``cuts``: of
    its scenes; None: there is no temporal step. ``entered``: whether decoding may begin anywhere."""
    frames = len(times)
    least = gop if entered else max(gop, -(-frames // _MOST))
    begins = [(0, 0)]  # where painting begins, and what is kept
    for at in range(gop, frames, gop):
        kept = at - begins[-1][1]
        scene = at if cuts is None else max((cut for cut in cuts if cut <= at), default=0)
        begin = scene // GOP_FRAMES * GOP_FRAMES  # batches begin with groups
        if kept >= least and at - begin <= _RUN_UP * kept:
            begins.append((begin, at))
    ends = [first for _, first in begins[1:]] + [frames]
    folder = FilmCheckpoint(task.target).folder
    return [
        Stretch(
            *(task.source, folder / f"{first:08d}", task.style, task.target),
            *(begin, first, end, end == frames),
            (begin - 1, times[begin - 1]) if entered and begin else None,
        )
        for (begin, first), end in zip(begins, ends, strict=True)
    ]


def stretches_of(job: FilmJob, task: Task, few: bool) -> Sequence[Stretch]:
    """Of a film that several workers are to paint (``few``: there are too few films for all of them); none where one
    paints it: that goes on which one has begun."""
    if workplace(task.target) != task.target:
        return ()
    before = FilmCheckpoint(task.target).read() if job.resume and not job.overwrite else None
    shared = few if before is None else before.job == SHARED
    if not shared or job.preview or job.is_numbered(task) or job.is_animated(task):
        return ()
    try:
        source = open_source(task.source, job.excerpt)
        gop = GOP_FRAMES * job.coding(task.target, source.clip).groups_in_gop
        if before is None and source.clip.frames is not None and source.clip.frames <= gop:
            return ()
        log.info("%s: looking for scenes, to share it among workers", task.source)
        cuts, times = scene_cuts(source.frames())
    except InputError:
        return ()  # whoever paints it will say so
    entered = isinstance(source, VideoSource) and source.can_be_entered
    found = stretches(task, None if job.temporal is None else cuts, times, gop, entered=entered)
    return found if len(found) > 1 or before is not None else ()
