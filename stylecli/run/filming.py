"""Films painted by one process, one after the other: whole ones, or stretches of those that several work on."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError, OutOfMemoryError, StylizeError, UsageError
from stylecli.files import remote
from stylecli.files.atomic import remove_stale_temporaries
from stylecli.files.claim import claimed
from stylecli.files.remote import RemotePath
from stylecli.media.video.animation import AnimationSink
from stylecli.media.video.encoding import GOP_FRAMES
from stylecli.media.video.reading import VideoSource
from stylecli.media.video.sequence import SequenceSink, SequenceSource
from stylecli.media.video.sink import FilmSink, Sink, partial_path
from stylecli.media.video.source import Source, open_source
from stylecli.paint.settings import fingerprint
from stylecli.run.disks import FullDisks
from stylecli.run.events import Advanced, Done, Event, FilmDone, Started, Warned
from stylecli.run.film import FilmRun
from stylecli.run.film_checkpoint import FilmCheckpoint, Progress
from stylecli.run.film_inputs import workplace
from stylecli.run.film_parts import SHARED, Joining, Stretch
from stylecli.run.paths import exists
from stylecli.run.plan import Task
from stylecli.run.provenance import remember
from stylecli.run.stream import failed
from stylecli.run.timeline import FilmPainter

if TYPE_CHECKING:
    from stylecli.run.executor import Emit
    from stylecli.run.films import FilmJob

log = logging.getLogger(__name__)

_EVERY_S, _EVERY_SHARED_S = 0.1, 0.5  # between reports of progress


@dataclass
class Filming:
    """What is needed to paint the films of ``job``; ``painter`` gives that of a style, ``stop`` ends it after the
    frames in hand. ``shared``: another process hands out, claims results, and wants what is begun to be gone on with.
    """

    job: FilmJob
    painter: Callable[[str], FilmPainter]
    emit: Emit
    stop: threading.Event
    shared: bool = False
    _full: FullDisks = field(init=False, default_factory=FullDisks)

    def do(self, tasks: Iterable[Task]) -> None:
        """Paint them, and report those that fail.

        Raises what ends all: UsageError, WeightsError, and KeyboardInterrupt once ``stop`` is set.
        """
        for task in tasks:
            refused = self._full.refuses(task)
            if refused is not None:
                self.emit(refused)
                continue
            try:
                self._one(task)
            except (UsageError, KeyboardInterrupt):
                raise
            except StylizeError as error:
                if error.exit_code not in (InputError.exit_code, OutOfMemoryError.exit_code):
                    raise  # weights: no film can be painted
                self._full.note(task, error)
                self.emit(failed(task, error))
            except Exception as error:
                self.emit(failed(task, error))
            if self.stop.is_set():
                raise KeyboardInterrupt

    def _one(self, task: Task) -> None:
        if isinstance(task, Joining):
            self._join(task)
        elif isinstance(task, Stretch):
            self._stretch(task)
        elif self.job.preview:
            self._preview(task)
        elif isinstance(task.target, RemotePath):
            self._film_elsewhere(task, task.target)
        elif self.shared:
            self._film(task)
        else:
            remove_stale_temporaries(task.target.parent)
            with claimed(task.target):
                self._film(task)

    def _film_elsewhere(self, task: Task, target: RemotePath) -> None:
        """Made on this machine, and sent where it belongs once it is whole."""
        here = replace(task, target=workplace(target))
        done: list[FilmDone] = []

        def told(event: Event) -> None:
            if isinstance(event, FilmDone):
                done.append(event)
            else:
                self.emit(replace(event, target=target) if isinstance(event, Started) else event)

        if not self.job.overwrite and exists(target):
            raise InputError(f"{target}: was written by somebody else meanwhile")
        here.target.unlink(missing_ok=True)
        replace(self, emit=told)._one(here)
        try:
            remote.send(here.target, target, replace=self.job.overwrite)
        except InputError as error:
            raise InputError(f"{error}; the film is whole, as {here.target}") from error
        here.target.unlink()
        with suppress(OSError):
            here.target.parent.rmdir()
        self.emit(replace(done[0], target=target))

    def _film(self, task: Task) -> None:
        source = open_source(task.source, self.job.excerpt)
        checkpoint = FilmCheckpoint(task.target)
        sink, notices = self._sink(task, source, checkpoint)
        self._warn(task, (*source.clip.notices, *notices))
        paint = self.painter(task.style)
        before = self._begin(task, checkpoint, Progress(self.job.fingerprint(task, paint.settings)), sink)
        self.emit(Started(task.source, task.target, task.style))
        run = self._run(task, source, sink, paint, checkpoint, before)
        try:
            progress = run.run()
            if not run.completed:
                self._leave(task, sink, progress)
                raise KeyboardInterrupt
        finally:
            if checkpoint.read() is None:  # nothing that could be taken up again
                checkpoint.remove()
        if not progress.frames:
            raise InputError(f"{task.source}: not one frame to paint")
        self._refuse_taken(task, sink)
        self._warn(task, sink.finish(progress.last_duration))
        self._warn(task, source.warnings)
        if self.job.is_animated(task):
            remember(task.target, {**self.job.settings(task), **paint.settings})
        self._ended(task, checkpoint, source, sink, progress.frames, run.seconds)

    def _stretch(self, task: Stretch) -> None:
        """Its groups, in files that wait for those of the others."""
        source = open_source(task.source, self.job.excerpt)
        if isinstance(source, VideoSource):
            source.known = task.known
        checkpoint = FilmCheckpoint(task.target)
        sink, notices = self._sink(task, source, checkpoint)
        assert isinstance(sink, FilmSink)
        self._warn(task, (*source.clip.notices, *notices))
        paint = self.painter(task.style)
        made = fingerprint({"film": self.job.fingerprint(task, paint.settings), **task.settings})
        before = self._begin(task, checkpoint, Progress(made, task.begin // GOP_FRAMES, task.begin), sink)
        self.emit(Started(task.source, task.target, task.style))
        seconds = 0.0
        if before.frames < task.end:
            run = self._run(task, source, sink, paint, checkpoint, before)
            progress, seconds = run.run(), run.seconds
            if not run.completed:
                raise KeyboardInterrupt
            if progress.frames < task.end and not task.is_last:
                raise InputError(f"{task.source}: it has changed while it was painted")
        else:  # it was not told any more that it is there
            sink.begin(before.groups, before.frames)
        self._warn(task, sink.close())
        self._warn(task, source.warnings)
        clip = source.clip
        self.emit(Done(task.source, task.target, task.style, seconds, clip.width, clip.height))

    def _join(self, task: Joining) -> None:
        """One film of all stretches."""
        source = open_source(task.source, self.job.excerpt)
        checkpoint = FilmCheckpoint(task.target)
        sink, _ = self._sink(task, source, checkpoint)
        assert isinstance(sink, FilmSink)
        parts = [FilmCheckpoint(stretch.target) for stretch in task.stretches]
        progress = parts[-1].read()
        segments = [path for part in parts for path in sorted(part.folder.glob("*.group"))]
        if progress is None or not segments:
            raise InputError(
                f"{task.target}: stretches of it are not there any more: --overwrite begins again"
            )
        self._refuse_taken(task, sink)
        self._warn(task, sink.join(segments, progress.last_duration))
        self._ended(task, checkpoint, source, sink, progress.frames, 0.0)

    def _run(
        self,
        task: Task,
        source: Source,
        sink: Sink,
        paint: FilmPainter,
        checkpoint: FilmCheckpoint,
        before: Progress,
    ) -> FilmRun:
        job, clip = self.job, source.clip
        base, begin = clip.time_base, job.excerpt.start or 0.0
        finish = job.finish(task, clip.rate, job.spared(task.source, self.stop))
        return FilmRun(
            source,
            sink,
            lambda frames: paint(frames, [begin + float(frame.pts * base) for frame in frames]),
            job.temporal,
            checkpoint if sink.resumable else None,
            before,
            _Reporter(task, source, sink, before.frames, self),
            self.stop,
            paint.at_once(clip.width, clip.height),
            paint.workers(clip.width * clip.height),
            paint.threads_beside,
            layers=job.layers(task),
            end=task.end if isinstance(task, Stretch) and not task.is_last else None,
            finish=lambda frame, painted: finish(frame, painted, begin + float(frame.pts * base)),
        )

    def _preview(self, task: Task) -> None:
        """Three frames of the film, and as they will be painted, on one picture."""
        from stylecli.run.preview import draw_preview

        self.emit(Started(task.source, task.target, task.style))
        begun = time.perf_counter()
        excerpt, spared = self.job.excerpt, self.job.spared(task.source, self.stop)
        finish = self.job.finish(task, open_source(task.source, excerpt).clip.rate, spared)
        width, height = draw_preview(task.source, excerpt, self.painter(task.style), task.target, finish)
        self.emit(Done(task.source, task.target, task.style, time.perf_counter() - begun, width, height))

    def _sink(self, task: Task, source: Source, checkpoint: FilmCheckpoint) -> tuple[Sink, Sequence[str]]:
        job = self.job
        silent = [f"its sound is left out: {task.target.suffix} holds none"] if source.clip.sound else []
        if job.is_numbered(task):
            numbers = source.numbers if isinstance(source, SequenceSource) else None
            return SequenceSink(task.target, numbers), silent
        if job.is_animated(task):
            return AnimationSink(task.target, source.clip), silent
        result = _result(task)
        coding = job.coding(result, source.clip)
        film, begins = None, Fraction(0)
        if isinstance(source, VideoSource):
            film, begins = task.source, source.begins
        sink = FilmSink(
            result,
            coding,
            checkpoint.folder,
            film,
            begins,
            is_excerpt=not job.excerpt.covers_all,
            made=fingerprint(job.settings(task)),
            first=task.first // GOP_FRAMES if isinstance(task, Stretch) else 0,
        )
        return sink, coding.notices

    def _begin(self, task: Task, checkpoint: FilmCheckpoint, start: Progress, sink: Sink) -> Progress:
        """Where to begin: where an earlier run left off, if that was asked for and can be."""
        goes_on = self.shared or (self.job.resume and not self.job.overwrite)
        before = checkpoint.read() if goes_on else None
        if before is None:
            if goes_on and checkpoint.is_damaged:
                self._warn(task, ["what the interrupted run left is damaged: it begins again"])
            if sink.resumable:
                checkpoint.begin()
            return start
        if before.job == SHARED:
            raise InputError(
                f"{_result(task)}: stretches of an interrupted run are there: --jobs or --cluster goes on with them, "
                "--overwrite begins again"
            )
        if before.job != start.job:
            raise InputError(
                f"{_result(task)}: the interrupted run was of another input or with other options: "
                "--overwrite begins again"
            )
        good = checkpoint.checked(before, with_state=self.job.temporal is not None)
        if not good.frames:
            good = start
        if good != before:
            self._warn(
                task,
                [
                    f"of the {before.frames} frames of the interrupted run some are damaged: it goes on after "
                    f"{good.frames}"
                ],
            )
        else:
            log.info(f"{_result(task)}: going on after {good.frames} frames")
        return good

    def _leave(self, task: Task, sink: Sink, progress: Progress) -> None:
        """After Ctrl-C: something to look at, and what to do next."""
        path = sink.finish_partly(progress.last_duration)
        if path is not None:
            text = f"{path} has the first {progress.frames} frames; the same command with --resume goes on"
            self._warn(task, [text])

    def _refuse_taken(self, task: Task, sink: Sink) -> None:
        if not self.job.overwrite and sink.resumable and os.path.lexists(task.target):
            raise InputError(
                f"{task.target}: was written by somebody else meanwhile: move it away, --resume finishes the film"
            )

    def _ended(
        self, task: Task, checkpoint: FilmCheckpoint, source: Source, sink: Sink, frames: int, seconds: float
    ) -> None:
        checkpoint.remove()
        partial_path(task.target).unlink(missing_ok=True)
        size = (source.clip.width, source.clip.height)
        bytes = _size(task.target, sink.bytes)
        self.emit(FilmDone(task.source, task.target, task.style, seconds, *size, frames, bytes))

    def _warn(self, task: Task, texts: Iterable[str]) -> None:
        for text in texts:
            self.emit(Warned(task.source, text))


def _result(task: Task) -> Path:
    return task.film if isinstance(task, Stretch) else task.target


def _size(target: Path, painted: int) -> int:
    """Bytes of the result with its sound; of numbered pictures what was ``painted``."""
    try:
        return target.stat().st_size
    except OSError:
        return painted


class _Reporter:
    """Reports progress, not more often than anybody can look."""

    def __init__(self, task: Task, source: Source, sink: Sink, begun_at: int, filming: Filming) -> None:
        self._task, self._total, self._sink, self._emit = task, source.clip.frames, sink, filming.emit
        self._begun_at, self._begun, self._last = begun_at, time.monotonic(), 0.0
        self._every = _EVERY_SHARED_S if filming.shared else _EVERY_S

    def __call__(self, frames: int) -> None:
        now = time.monotonic()
        if now - self._last < self._every and frames != self._total:
            return
        self._last = now
        rate = (frames - self._begun_at) / max(1e-9, now - self._begun)
        task = self._task
        self._emit(Advanced(task.source, task.style, frames, self._total, rate, self._sink.bytes))
