"""One film from its first frame to its last: decode, follow the motion, paint, steady and encode, all at once.

Frames pass through threads with short queues between them and never touch the disk. Painting, the slow part, knows
nothing of other frames and takes them in batches, several at the same time; motion, which needs two frames and no more,
is estimated of several at the same time too. Steadying needs the result before: it and encoding follow in order behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from stylecli.run.motion import Motion, follow
from stylecli.run.parallel_map import ordered_parallel_map
from stylecli.run.stages import Stages
from stylecli.run.temporal import Blender, Each, LayeredBlender

FramePainter = Callable[[Sequence[Frame]], FloatArray]
"""Frames of one size to (B, H, W, 3) in 0..1."""

_PIXELS_AHEAD = 2**23  # waiting between two stages
_STEADY_AHEAD = 2  # frames that wait to be encoded: as floats they are large, and more wait to be steadied


@dataclass(frozen=True)
class _Moved:
    frame: Frame
    motion: Motion | None
    ends_group: bool


_Painted = tuple[_Moved, FloatArray]


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
        beside: how many threads follow the motion beside it, and how many steady; the result is the same.
        layers: how many paintings of each frame ``paint`` gives, one below the other.
        end: the frame to stop before; None: the film's end.
        finish: makes of a frame and its steadied paintings what is written; called in order.
        completed: whether the run has reached the last frame.
        seconds: how long ``paint`` was at work.
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
    beside: int = 1
    layers: int = 1
    end: int | None = None
    finish: Callable[[Frame, FloatArray], FloatArray] = lambda frame, painted: painted
    completed: bool = field(init=False, default=False)
    seconds: float = field(init=False, default=0.0)

    def run(self) -> Progress:
        """Paint all frames, or until ``stop``; how far it got. The sink still has to be finished.

        Raises what reading, painting and writing raise; everything in the checkpoint stays good.
        """
        clip = self.source.clip
        waiting = max(2, min(8, _PIXELS_AHEAD // (clip.width * clip.height)))
        decoded: Queue[Frame | None] = Queue(waiting)
        moved: Queue[_Moved | None] = Queue(waiting)
        painted: Queue[_Painted | None] = Queue(waiting)
        steadied: Queue[_Painted | None] = Queue(_STEADY_AHEAD)
        ahead, behind = Stages(), Stages()
        self._progress = self.before
        self.sink.begin(self.before.groups, self.before.frames)
        state = self.checkpoint.state(self.before) if self.checkpoint is not None else None
        ahead.start("decode", self._decode, ahead, decoded)
        ahead.start("motion", self._follow, ahead, decoded, moved)
        behind.start("steady", self._steady, behind, painted, steadied, state)
        behind.start("encode", self._encode, behind, steadied)
        try:
            whole = True  # no group is half painted
            with closing(
                ordered_parallel_map(self._paint, self._batches(ahead, moved), self.workers)
            ) as batches:
                for batch, (pixels, took) in batches:
                    self.seconds += took / self.workers
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
        for frame in frames:
            if not stages.put(decoded, frame):
                return
        stages.put(decoded, None)

    def _follow(self, stages: Stages, decoded: Queue[Frame | None], moved: Queue[_Moved | None]) -> None:
        number = max(0, self.before.frames - (self.temporal is not None))
        with closing(self._motions(stages.taken(decoded))) as motions:
            for frame, motion in motions:
                if number >= self.before.frames and not stages.put(
                    moved, _Moved(frame, motion, (number + 1) % GOP_FRAMES == 0)
                ):
                    return
                number += 1
        stages.put(moved, None)

    def _motions(self, frames: Iterator[Frame]) -> Generator[tuple[Frame, Motion | None]]:
        if self.temporal is None:
            return ((frame, None) for frame in frames)
        return follow(frames, self.beside)

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

    def _steady(
        self,
        stages: Stages,
        painted: Queue[_Painted | None],
        steadied: Queue[_Painted | None],
        state: FloatArray | None,
    ) -> None:
        with ThreadPoolExecutor(self.beside, "steady") as pool:  # (starts none before it is used)
            blender = self._blender(state, map if self.beside == 1 else pool.map)
            for one, pixels in stages.taken(painted):
                steady = pixels if blender is None else blender.next(pixels, one.motion)
                if not stages.put(steadied, (one, steady)):
                    return
        stages.put(steadied, None)

    def _encode(self, stages: Stages, steadied: Queue[_Painted | None]) -> None:
        frames, last = self.before.frames, None
        for one, steady in stages.taken(steadied):
            self.sink.add(one.frame, self.finish(one.frame, steady))
            frames, last = frames + 1, (one.frame, steady)
            if one.ends_group:
                self._close_group(frames, *last)
            self.advanced(frames)
        if last is not None and frames % GOP_FRAMES and self.completed:
            self._close_group(frames, *last)

    def _blender(self, state: FloatArray | None, each: Each) -> Blender | LayeredBlender | None:
        if self.temporal is None:
            return None
        if self.layers == 1:
            return Blender(self.temporal, state, each)
        return LayeredBlender(self.temporal, self.layers, state, each)

    def _close_group(self, frames: int, last: Frame, steady: FloatArray) -> None:
        """``steady``, the last frame as it was steadied, is all that the temporal step remembers."""
        part = self.sink.cut()
        before = self._progress
        self._progress = Progress(before.job, before.groups + 1, frames, last.pts, last.duration)
        if self.checkpoint is not None:
            self.checkpoint.write(self._progress, None if self.temporal is None else steady, part)
