"""One film from its first frame to its last: decode, follow the motion, paint, steady and encode, all at once.

Frames pass through threads with short queues between them and never touch the disk. Painting, the slow part, knows
nothing of other frames and takes them in batches, several at the same time; steadying and encoding follow in order
behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from queue import Queue

from stylecli.media.picture import FloatArray
from stylecli.media.video.clip import Frame
from stylecli.media.video.encoding import GOP_FRAMES
from stylecli.media.video.sink import Sink
from stylecli.media.video.source import Source
from stylecli.run.film_checkpoint import FilmCheckpoint, Progress
from stylecli.run.parallel_map import ordered_parallel_map
from stylecli.run.stages import Stages
from stylecli.run.temporal import Blender, LayeredBlender, Motion, MotionEstimator

FramePainter = Callable[[Sequence[Frame]], FloatArray]
"""Frames of one size to (B, H, W, 3) in 0..1."""

_PIXELS_AHEAD = 2**23  # waiting between two stages


@dataclass
class Seconds:
    """How long each stage was at work."""

    decode: float = 0.0
    motion: float = 0.0
    paint: float = 0.0
    encode: float = 0.0


@dataclass(frozen=True)
class _Moved:
    frame: Frame
    motion: Motion | None
    ends_group: bool


@dataclass
class FilmRun:
    """Everything about one film that is decided.

    Attributes:
        temporal: strength of the temporal step, 0..1; None leaves it out.
        checkpoint: None where the result cannot be taken up again.
        before: what an earlier run has left.
        advanced: told after each frame how many are done.
        stop: set from outside; the group being painted is completed, then the run ends.
        at_once: how many frames ``paint`` is given in one call. workers: how many such calls at the same time.
        layers: how many paintings of each frame ``paint`` gives, one below the other.
        end: the frame to stop before; None: the film's end.
        finish: makes of a frame and its steadied paintings what is written; called in order.
        completed: whether the run has reached the last frame.
    """

    source: Source
    sink: Sink
    paint: FramePainter
    temporal: float | None
    checkpoint: FilmCheckpoint | None
    before: Progress
    advanced: Callable[[int], None] = lambda frames: None
    stop: threading.Event = field(default_factory=threading.Event)
    at_once: int = 1
    workers: int = 1
    seconds: Seconds = field(default_factory=Seconds)
    layers: int = 1
    end: int | None = None
    finish: Callable[[Frame, FloatArray], FloatArray] = lambda frame, painted: painted
    completed: bool = field(init=False, default=False)

    def run(self) -> Progress:
        """Paint all frames, or until ``stop``; how far it got. The sink still has to be finished.

        Raises what reading, painting and writing raise; everything in the checkpoint stays good.
        """
        clip = self.source.clip
        waiting = max(2, min(8, _PIXELS_AHEAD // (clip.width * clip.height)))
        decoded: Queue[Frame | None] = Queue(waiting)
        moved: Queue[_Moved | None] = Queue(waiting)
        painted: Queue[tuple[_Moved, FloatArray] | None] = Queue(waiting)
        ahead, behind = Stages(), Stages()
        self._progress = self.before
        self.sink.begin(self.before.groups, self.before.frames)
        state = self.checkpoint.state(self.before) if self.checkpoint is not None else None
        ahead.start("decode", self._decode, ahead, decoded)
        ahead.start("motion", self._follow, ahead, decoded, moved)
        behind.start("encode", self._encode, behind, painted, state)
        try:
            whole = True  # no group is half painted
            with closing(
                ordered_parallel_map(self._paint, self._batches(ahead, moved), self.workers)
            ) as batches:
                for batch, (pixels, took) in batches:
                    self.seconds.paint += took / self.workers
                    if self.stop.is_set() and (whole or self.checkpoint is None):
                        break
                    if not all(behind.put(painted, pair) for pair in zip(batch, pixels, strict=True)):
                        break
                    whole = batch[-1].ends_group
                else:
                    self.completed = not ahead.stopped.is_set()
            ahead.stopped.set()
            if not ahead.broken:
                behind.put(painted, None)
        except BaseException:
            behind.stopped.set()
            raise
        finally:
            ahead.stopped.set()
            if ahead.broken:
                behind.stopped.set()
            ahead.join()
            behind.join()
        ahead.finish()
        behind.finish()
        return self._progress

    # The stages.

    def _decode(self, stages: Stages, decoded: Queue[Frame | None]) -> None:
        # The last finished frame is wanted again: the first new one moves away from it.
        skip = max(0, self.before.frames - (self.temporal is not None))
        left = None if self.end is None else max(0, self.end - skip)
        frames = islice(self.source.frames(skip), left)
        while True:
            begun = time.perf_counter()
            frame = next(frames, None)
            self.seconds.decode += time.perf_counter() - begun
            if not stages.put(decoded, frame) or frame is None:
                return

    def _follow(self, stages: Stages, decoded: Queue[Frame | None], moved: Queue[_Moved | None]) -> None:
        estimator = MotionEstimator() if self.temporal is not None else None
        number = max(0, self.before.frames - (estimator is not None))
        for frame in stages.taken(decoded):
            begun = time.perf_counter()
            motion = None if estimator is None else estimator.next(frame.pixels)
            self.seconds.motion += time.perf_counter() - begun
            if number >= self.before.frames and not stages.put(
                moved, _Moved(frame, motion, (number + 1) % GOP_FRAMES == 0)
            ):
                return
            number += 1
        stages.put(moved, None)

    def _paint(self, batch: Sequence[_Moved]) -> tuple[FloatArray, float]:
        """Painted frames, and the seconds that they took."""
        begun = time.perf_counter()
        pixels = self.paint([one.frame for one in batch])
        return pixels, time.perf_counter() - begun

    def _batches(self, stages: Stages, moved: Queue[_Moved | None]) -> Iterator[list[_Moved]]:
        """Frames to paint at once. Batches end with groups, so that they are the same in a run that goes on."""
        batch: list[_Moved] = []
        for one in stages.taken(moved):
            batch.append(one)
            if len(batch) == self.at_once or one.ends_group:
                yield batch
                batch = []
        if batch and not stages.stopped.is_set():
            yield batch

    def _encode(
        self, stages: Stages, painted: Queue[tuple[_Moved, FloatArray] | None], state: FloatArray | None
    ) -> None:
        blender = self._blender(state)
        frames, last = self.before.frames, None
        for one, pixels in stages.taken(painted):
            begun = time.perf_counter()
            steady = pixels if blender is None else blender.next(pixels, one.motion)
            self.sink.add(one.frame, self.finish(one.frame, steady))
            frames, last = frames + 1, one.frame
            if one.ends_group:
                self._close_group(frames, last, blender)
            self.seconds.encode += time.perf_counter() - begun
            self.advanced(frames)
        if last is not None and frames % GOP_FRAMES and self.completed:
            self._close_group(frames, last, blender)

    def _blender(self, state: FloatArray | None) -> Blender | LayeredBlender | None:
        if self.temporal is None:
            return None
        if self.layers == 1:
            return Blender(self.temporal, state)
        return LayeredBlender(self.temporal, self.layers, state)

    def _close_group(self, frames: int, last: Frame, blender: Blender | LayeredBlender | None) -> None:
        part = self.sink.cut()
        before = self._progress
        self._progress = Progress(before.job, before.groups + 1, frames, last.pts, last.duration)
        if self.checkpoint is not None:
            self.checkpoint.write(self._progress, None if blender is None else blender.state, part)
