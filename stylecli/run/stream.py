"""Carry out a plan: read, paint and write at the same time, in order, with bounded memory.

One thread decodes ahead, the caller's thread paints, one or several encode behind. A picture that fails is
reported and the rest goes on. Nothing is printed here: whoever calls gets events.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, groupby
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

from stylecli.errors import StylizeError, is_out_of_memory
from stylecli.files.atomic import TakenError
from stylecli.interrupt import at_no_lock
from stylecli.run.disks import FullDisks
from stylecli.run.events import Advanced, Done, Event, Failed, Skipped, Started, Warned
from stylecli.run.painters import LayeredPainter
from stylecli.run.plan import Task
from stylecli.run.stages import POLL_S, Stages

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.media.picture import PixelArray
    from stylecli.paint.regions import Regions

PaintFunction = Callable[["PixelArray"], "PixelArray"]
Portion = tuple[Task, ...]
"""One source in some of its styles: read once."""

_AHEAD = 2  # pictures waiting between two stages
PIXELS_IN_FLIGHT = 100_000_000  # no further picture is read while more than this is being worked on


@dataclass(frozen=True)
class Work:
    """What the stream does to a picture; each step may raise StylizeError for that picture alone.

    ``painters`` is called once, when the first picture has been read (a run that finds nothing readable
    never loads the network), and returns a painter for every style name in the plan; what it raises ends
    the run. ``write`` saves the result of a task and returns notices.
    """

    read: Callable[[Path], Picture]
    painters: Callable[[], Mapping[str, PaintFunction]]
    write: Callable[[Picture, Task], Sequence[str]]
    pixels_in_flight: int = PIXELS_IN_FLIGHT
    keep: float = 0.0  # of what no painter sees, see repaint
    regions: Callable[[Task], Regions | None] = lambda task: None
    """Where of a picture something is painted; None: everywhere."""
    writers: int = 1
    """How many results are encoded at the same time; a PNG takes longer than its painting on a fast machine."""


@dataclass(frozen=True)
class _Read:
    tasks: Portion
    picture: (
        Picture | None
    )  # without it and without an error: it was not read, its results would find no room
    error: Exception | None = None


@dataclass(frozen=True)
class _Painted:
    number: int  # of all that were painted
    task: Task
    picture: Picture | None
    seconds: float = 0.0
    error: Exception | None = None
    releases: int = 0  # pixels that are out of flight once this is written


def portions(plan: Iterable[Task]) -> list[Portion]:
    """Each source with all its styles, which must stand side by side in ``plan``."""
    return [tuple(group) for _, group in groupby(plan, key=lambda task: task.source)]


def stream(plan: Iterable[Portion], work: Work, emit: Callable[[Event], None]) -> None:
    """Do every task of ``plan``, in order, and report each through ``emit``, which is never called by two threads at
    once.

    A plan that waits for more to come yields empty portions meanwhile. On KeyboardInterrupt the file being written is
    finished, nothing else is begun, and the interrupt is raised again.
    """
    _Stream(work, emit).run(plan)


@dataclass
class _Stream:
    work: Work
    emit_to: Callable[[Event], None]
    stages: Stages = field(default_factory=Stages)

    def __post_init__(self) -> None:
        self._read: Queue[_Read | None] = Queue(_AHEAD)
        self._painted: Queue[_Painted | None] = Queue(_AHEAD)
        self._numbers = count()
        self._ended = _InOrder(self._emit)
        self._painters: Mapping[str, PaintFunction] | None = None
        self._emitting = threading.Lock()
        self._full = FullDisks()
        self._in_flight = _Flight(self.work.pixels_in_flight, self.stages.stopped)

    def run(self, plan: Iterable[Portion]) -> None:
        with at_no_lock(self.stages.stopped) as interrupted:
            self.stages.start("read", self._reading, plan)
            for _ in range(self.work.writers):
                self.stages.start("write", self._writing)
            try:
                for read in self.stages.taken(self._read):
                    self._paint(read)
                self.stages.put(self._painted, None)
            except BaseException:
                self.stages.stopped.set()
                raise
            finally:
                self.stages.join()
        if interrupted.is_set():
            raise KeyboardInterrupt
        self.stages.finish()

    def _emit(self, event: Event) -> None:
        with self._emitting:
            self.emit_to(event)

    # The three stages.

    def _reading(self, plan: Iterable[Portion]) -> None:
        for tasks in plan:
            if not self._in_flight.wait():
                return
            if not tasks:
                continue
            if all(map(self._full.refuses, tasks)):
                if not self.stages.put(self._read, _Read(tasks, None)):
                    return
                continue
            try:
                picture = self.work.read(tasks[0].source)
            except Exception as error:
                read = _Read(tasks, None, error)
            else:
                self._in_flight.add(_pixels(picture))
                read = _Read(tasks, picture)
            if not self.stages.put(self._read, read):
                return
            del read  # or the last picture stays in memory while this thread waits for room
        self.stages.put(self._read, None)

    def _paint(self, read: _Read) -> None:
        """Paint one source in all its styles, on the caller's thread."""
        if read.picture is None:
            for task in read.tasks:
                self._hand_on(task, None, error=read.error)
            return
        for notice in read.picture.notices:
            self._emit(Warned(read.tasks[0].source, notice))
        if self._painters is None:
            self._painters = self.work.painters()
        for task in read.tasks:
            releases = _pixels(read.picture) if task is read.tasks[-1] else 0
            if self._full.refuses(task):
                self._hand_on(task, None, releases=releases)
                continue
            self._emit(Started(task.source, task.target, task.style))
            begun = time.perf_counter()
            try:
                picture = self._repainted(task, read.picture, self._painters[task.style])
            except Exception as error:
                self._hand_on(task, None, error=error, releases=releases)
            else:
                self._hand_on(task, picture, seconds=time.perf_counter() - begun, releases=releases)
                del picture  # or it stays in memory until the next one is painted

    def _hand_on(
        self,
        task: Task,
        picture: Picture | None,
        *,
        seconds: float = 0.0,
        error: Exception | None = None,
        releases: int = 0,
    ) -> None:
        painted = _Painted(next(self._numbers), task, picture, seconds, error, releases)
        self.stages.put(self._painted, painted)

    def _repainted(self, task: Task, picture: Picture, painter: PaintFunction) -> Picture:
        from stylecli.media import repaint

        regions, keep = self.work.regions(task), self.work.keep
        paint: PaintFunction = painter
        if regions is not None:
            layers = painter.layers if isinstance(painter, LayeredPainter) else [painter]
            paint = partial(regions.paint, layers)
        if picture.more:
            paint = self._counted(task, paint, 1 + len(picture.more))
        return repaint(picture, paint, keep if regions is None else partial(regions.kept, keep=keep))

    def _counted(self, task: Task, paint: PaintFunction, total: int) -> PaintFunction:
        """``paint``, which says how far it is with the frames of an animation."""
        begun, done = time.perf_counter(), 0

        def counted(pixels: PixelArray) -> PixelArray:
            nonlocal done
            painted = paint(pixels)
            done += 1
            rate = done / max(1e-9, time.perf_counter() - begun)
            self._emit(Advanced(task.source, task.style, done, total, rate, 0))
            return painted

        return counted

    def _writing(self) -> None:
        for painted in self.stages.taken(self._painted):
            refused = self._full.refuses(painted.task)
            events: list[Event] = []
            if painted.error is not None:
                events = [failed(painted.task, painted.error)]
            elif refused is not None:
                events = [refused]
            elif painted.picture is not None:
                events = self._write(painted, painted.picture)
            self._in_flight.add(-painted.releases)
            self._ended.put(painted.number, events)
            del painted
        self.stages.put(self._painted, None)  # for the other writers

    def _write(self, painted: _Painted, picture: Picture) -> list[Event]:
        task = painted.task
        try:
            notices = self.work.write(picture, task)
        except TakenError as error:
            skipped = Skipped(task.source, task.target, task.style, "exists by now")
            return [Warned(task.source, str(error)), skipped]
        except Exception as error:
            self._full.note(task, error)
            return [failed(task, error)]
        height, width = picture.pixels.shape[:2]
        done = Done(task.source, task.target, task.style, painted.seconds, width, height)
        return [*(Warned(task.source, notice) for notice in notices), done]


class _InOrder:
    """Passes on events by number, whatever the order in which they come."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit, self._next, self._waiting = emit, 0, dict[int, list[Event]]()
        self._lock = threading.Lock()

    def put(self, number: int, events: list[Event]) -> None:
        with self._lock:
            self._waiting[number] = events
            while self._next in self._waiting:
                for event in self._waiting.pop(self._next):
                    self._emit(event)
                self._next += 1


class _Flight:
    """Counts the pixels that are being worked on, so that a folder of huge scans fits into memory."""

    def __init__(self, most: int, stopped: threading.Event) -> None:
        self._most, self._pixels = most, 0
        self._changed = threading.Condition()
        self._stopped = stopped

    def add(self, pixels: int) -> None:
        with self._changed:
            self._pixels += pixels
            self._changed.notify_all()

    def wait(self) -> bool:
        """Wait until another picture may be read; False when the run was stopped meanwhile."""
        with self._changed:
            while self._pixels > self._most and not self._stopped.is_set():
                self._changed.wait(POLL_S)
        return not self._stopped.is_set()


def _pixels(picture: Picture) -> int:
    return int(picture.count)


def failed(task: Task, error: Exception | None) -> Failed:
    """The event for what went wrong with ``task``, in words for a person."""
    trace = None
    if isinstance(error, StylizeError):
        reason = str(error).removeprefix(f"{task.source}: ")
    elif error is not None and is_out_of_memory(error):
        reason = "not enough memory for a picture of this size (try --max-size)"
    else:
        reason = f"unexpected {type(error).__name__}: {error} (a bug in stylize; -v shows where)"
        trace = "".join(traceback.format_exception(error))
    out_of_memory = error is not None and is_out_of_memory(error)
    return Failed(task.source, reason, task.target, task.style, out_of_memory, trace)
