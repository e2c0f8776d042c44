"""Films from end to end: find, plan, load the model, paint one after the other."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli import __version__
from stylecli.errors import InputError, OutOfMemoryError, StylizeError, UsageError
from stylecli.files.atomic import remove_stale_temporaries
from stylecli.files.claim import claimed, is_claimed
from stylecli.interrupt import one_ctrl_c
from stylecli.paint.options import LoadOptions, PaintOptions, Settings, fingerprint
from stylecli.run.disks import FullDisks
from stylecli.run.events import (
    STREAM,
    Advanced,
    Done,
    Event,
    FilmDone,
    Started,
    Warned,
)
from stylecli.run.film_checkpoint import FilmCheckpoint, Progress
from stylecli.run.film_inputs import files_read, files_written, find_films
from stylecli.run.guard import refuse_collisions, refuse_loss
from stylecli.run.masks import Masks, kept_masks, mask_settings, with_masks
from stylecli.run.paths import exists, is_folder
from stylecli.run.plan import Naming, Plan, Task, make_plan
from stylecli.run.shard import Shard
from stylecli.run.stream import failed
from stylecli.run.timeline import FilmPainter, LayeredFilmPainter, Timeline

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.media.picture import FloatArray
    from stylecli.media.video.clip import Excerpt, Frame
    from stylecli.media.video.encoding import Encoding
    from stylecli.media.video.sink import Sink
    from stylecli.media.video.source import Source
    from stylecli.paint.stylizer import Stylizer

Emit = Callable[[Event], None]

log = logging.getLogger(__name__)
_KEPT = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".gif",
    ".webp",
    ".apng",
)  # inputs whose results are of the same kind
_ANIMATED = (".gif", ".webp", ".apng", ".png")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")  # of numbered pictures
_EVERY_S = 0.1  # between reports of progress


@dataclass(frozen=True)
class FilmJob:
    """What was asked for. ``output`` is as typed; ``temporal`` None leaves the temporal step out."""

    inputs: Sequence[str]
    timelines: Sequence[Timeline]
    excerpt: Excerpt
    encoding: Encoding
    output: str | None = None
    recursive: bool = False
    shard: Shard = field(default_factory=Shard)
    overwrite: bool = False
    resume: bool = False
    preview: bool = False
    temporal: float | None = None
    mask: Masks | None = None
    options: PaintOptions = field(default_factory=PaintOptions)
    loading: LoadOptions = field(default_factory=LoadOptions)
    kept: Mapping[Path, str] = field(default_factory=dict)  # further files that no result may replace

    # The plan.

    def plan(self, emit: Emit) -> Plan:
        """Settle what becomes what. Reports refused inputs and finished results; writes nothing.

        Raises UsageError when results would collide, the options contradict each other, or an earlier run would be
        lost.
        """
        from stylecli.media.video.joining import is_painted
        from stylecli.run.provenance import film_differs, has_provenance, picture_differs, sort_finished

        self.encoding.check()
        if self.output == str(STREAM):
            raise UsageError("a film cannot be written to stdout: give -o a file name")
        found, problems = find_films(self.inputs, recursive=self.recursive)
        plan = make_plan(
            found,
            [timeline.name for timeline in self.timelines],
            Naming(self.output, None, self._suffix, _kind, reads=files_read, writes=files_written),
            several=len(found) + len(problems) > 1,
            overwrite=self.overwrite or self.preview,  # a preview stands beside a result that is there
            kept=self._kept(),
            shard=self.shard,
            made_by_us=lambda path: is_painted(path) or has_provenance(path),
        )
        for problem in problems:
            emit(problem)
        if self.preview:
            plan = self._previews(plan)
        plan = with_masks(plan, self._masks, emit)
        plan = sort_finished(plan, self._settings, picture_differs if self.preview else film_differs, emit)
        if not self.preview:
            for task in plan.todo:
                self._check(task)
        return plan

    def _previews(self, plan: Plan) -> Plan:
        """The same films, each with the picture that is its preview as the target; those that are there are kept.
        Raises UsageError where that would replace something else."""
        tasks = [replace(task, target=_preview_of(task.target)) for task in plan.todo]
        there = [task for task in tasks if exists(task.target) and not self.overwrite]
        todo = [task for task in tasks if task not in there]
        refuse_loss(tasks, self._kept(), todo.__contains__, files_read, lambda target: [target])
        refuse_collisions(tasks)
        return replace(plan, todo=tuple(todo), finished=tuple(there))

    def _kept(self) -> dict[Path, str]:
        """Files that no result may replace, and what they are."""
        styles = [path for line in self.timelines for _, spec in line.keys for path in spec.files]
        specs = [spec for line in self.timelines for _, spec in line.keys]
        return dict.fromkeys(styles, "the style image") | kept_masks(specs, self.mask) | dict(self.kept)

    def _check(self, task: Task) -> None:
        """Raises UsageError where the result could not be written as asked, or would cost an earlier run."""
        from stylecli.media.video.sequence import numbered

        suffix = task.target.suffix.lower()
        if self._is_numbered(task):
            if suffix not in _PICTURES:
                raise UsageError(f"-o {task.target}: '{suffix}' is no picture (as in frames/%05d.png)")
            there = numbered(task.target) if is_folder(task.target.parent) else []
        else:
            there = []
            if suffix not in (*self.encoding.suffixes, *_ANIMATED):
                usual = self.encoding.suffixes[0]
                raise UsageError(
                    f"-o {task.target}: {suffix} does not hold {self.encoding.name}, {usual} does"
                )
        if self.overwrite:
            return
        if is_claimed(task.target):
            return  # the run that is at it has its own frames there; this one will say so
        before = FilmCheckpoint(task.target).read()
        if before is not None and not self.resume:
            raise UsageError(
                f"{task.target}: {before.frames} frames of an interrupted run are there: --resume goes on with it, "
                "--overwrite begins again"
            )
        if there and before is None:
            raise UsageError(f"{there[0][1]} exists already: --overwrite makes such pictures again")

    def _is_numbered(self, task: Task) -> bool:
        """Whether numbered pictures were asked for: a ``%d`` that stood in the input's name asks for nothing."""
        from stylecli.media.video.sequence import is_pattern

        return self.output is not None and task.target == Path(self.output) and is_pattern(task.target)

    def _suffix(self, suffix: str, _: str | None) -> str:
        """Of the result, from the input's."""
        suffix = suffix.lower()
        if suffix in _ANIMATED:
            return suffix
        return suffix if suffix in self.encoding.suffixes and suffix in _KEPT else self._usual(suffix)

    def _usual(self, suffix: str) -> str:
        # Matroska takes any sound; a folder of pictures has none.
        fits = self.encoding.suffixes
        return fits[0] if suffix in ("", *_KEPT) or ".mkv" not in fits else ".mkv"

    # The run.

    def run(self, plan: Plan, load: Callable[[], Stylizer], emit: Emit) -> None:
        """Paint ``plan.todo``, one film after the other, and report those that fail. ``load`` is called once, when a
        film could be opened.

        Raises what ``load`` raises, UsageError for an unreadable style image, OutOfMemoryError from encoding it, and
        KeyboardInterrupt: after the first Ctrl-C once the group being painted is complete, after a second at once.
        """
        lines = {line.name: line for line in self.timelines}
        painters: dict[str, FilmPainter] = {}
        stylizer: list[Stylizer] = []

        def painter(style: str) -> FilmPainter:
            if not stylizer:
                stylizer.append(load())
            if style not in painters:
                (_, spec), *_ = lines[style].keys
                painters[style] = (
                    LayeredFilmPainter(stylizer[0], spec, self._open, self.options)
                    if spec.layers
                    else FilmPainter(stylizer[0], lines[style], self._open, self.options)
                )
            return painters[style]

        full = FullDisks()
        with one_ctrl_c() as stop:
            for task in plan.todo:
                refused = full.refuses(task)
                if refused is not None:
                    emit(refused)
                    continue
                try:
                    if self.preview:
                        self._preview(task, painter, emit)
                    else:
                        remove_stale_temporaries(task.target.parent)
                        with claimed(task.target):
                            self._film(task, painter, emit, stop)
                except (UsageError, KeyboardInterrupt):
                    raise
                except StylizeError as error:
                    if error.exit_code not in (InputError.exit_code, OutOfMemoryError.exit_code):
                        raise  # weights: no film can be painted
                    full.note(task, error)
                    emit(failed(task, error))
                except Exception as error:
                    emit(failed(task, error))
                if stop.is_set():
                    raise KeyboardInterrupt

    def _open(self, path: Path) -> Picture:
        from stylecli.media import read_picture

        return read_picture(path, name=str(path))

    def _film(
        self, task: Task, painter: Callable[[str], FilmPainter], emit: Emit, stop: threading.Event
    ) -> None:
        from stylecli.media.video.source import open_source
        from stylecli.run.film import FilmRun
        from stylecli.run.provenance import remember

        source = open_source(task.source, self.excerpt)
        checkpoint = FilmCheckpoint(task.target)
        sink, notices = self._sink(task, source, checkpoint)
        for text in (*source.clip.notices, *notices):
            emit(Warned(task.source, text))
        paint = painter(task.style)
        job = self._fingerprint(task, paint.settings)
        before = self._begin(task, checkpoint, job, sink.resumable, emit)
        emit(Started(task.source, task.target, task.style))
        base, begin = source.clip.time_base, self.excerpt.start or 0.0
        advanced = _Reporter(task, source, sink, before.frames, emit)
        finish = self._finish(task, source.clip.rate)
        run = FilmRun(
            source,
            sink,
            lambda frames: paint(frames, [begin + float(frame.pts * base) for frame in frames]),
            self.temporal,
            checkpoint if sink.resumable else None,
            before,
            advanced,
            stop,
            paint.at_once(source.clip.width, source.clip.height),
            paint.workers(source.clip.width * source.clip.height),
            layers=len(self._masks(task)) - 1,
            finish=lambda frame, painted: finish(frame, painted, begin + float(frame.pts * base)),
        )
        try:
            progress = run.run()
            if not run.completed:
                self._leave(task, sink, progress, emit)
                raise KeyboardInterrupt
        finally:
            if checkpoint.read() is None:  # nothing that could be taken up again
                checkpoint.remove()
        if not progress.frames:
            raise InputError(f"{task.source}: not one frame to paint")
        if not self.overwrite and sink.resumable and os.path.lexists(task.target):
            raise InputError(
                f"{task.target}: was written by somebody else meanwhile: move it away, --resume finishes the film"
            )
        for text in sink.finish(progress.last_duration):
            emit(Warned(task.source, text))
        for text in source.warnings:
            emit(Warned(task.source, text))
        if task.target.suffix.lower() in _ANIMATED and not self._is_numbered(task):
            remember(task.target, {**self._settings(task), **paint.settings})
        self._clean(task, checkpoint)
        clip = source.clip
        emit(
            FilmDone(
                *(task.source, task.target, task.style, run.seconds.paint),
                *(clip.width, clip.height, progress.frames, _size(task.target, sink.bytes)),
            )
        )

    def _preview(self, task: Task, painter: Callable[[str], FilmPainter], emit: Emit) -> None:
        """Three frames of the film, and as they will be painted, on one picture."""
        from stylecli.media.video.source import open_source
        from stylecli.run.preview import draw_preview

        emit(Started(task.source, task.target, task.style))
        begun = time.perf_counter()
        rate = open_source(task.source, self.excerpt).clip.rate
        width, height = draw_preview(
            task.source, self.excerpt, painter(task.style), task.target, self._finish(task, rate)
        )
        emit(Done(task.source, task.target, task.style, time.perf_counter() - begun, width, height))

    def _sink(self, task: Task, source: Source, checkpoint: FilmCheckpoint) -> tuple[Sink, Sequence[str]]:
        from stylecli.media.video.animation import AnimationSink
        from stylecli.media.video.reading import VideoSource
        from stylecli.media.video.sequence import SequenceSink, SequenceSource
        from stylecli.media.video.sink import FilmSink

        silent = [f"its sound is left out: {task.target.suffix} holds none"] if source.clip.sound else []
        if self._is_numbered(task):
            numbers = source.numbers if isinstance(source, SequenceSource) else None
            return SequenceSink(task.target, numbers), silent
        if task.target.suffix.lower() in _ANIMATED:
            return AnimationSink(task.target, source.clip), silent
        coding = self.encoding.holding(source.clip, task.target.suffix.lower()).plan(source.clip)
        film, begins = None, Fraction(0)
        if isinstance(source, VideoSource):
            film, begins = task.source, source.begins
        sink = FilmSink(
            task.target,
            coding,
            checkpoint.folder,
            film,
            begins,
            is_excerpt=not self.excerpt.covers_all,
            made=fingerprint(self._settings(task)),
        )
        return sink, coding.notices

    def _begin(
        self, task: Task, checkpoint: FilmCheckpoint, job: str, resumable: bool, emit: Emit
    ) -> Progress:
        """Where to begin: where an earlier run left off, if that was asked for and can be."""
        before = checkpoint.read() if self.resume and not self.overwrite else None
        if before is None:
            if self.resume and checkpoint.is_damaged:
                emit(Warned(task.source, "what the interrupted run left is damaged: it begins again"))
            if resumable:
                checkpoint.begin()
            return Progress(job)
        if before.job != job:
            raise InputError(
                f"{task.target}: the interrupted run was of another input or with other options: "
                "--overwrite begins again"
            )
        good = checkpoint.checked(before, with_state=self.temporal is not None)
        if good != before:
            emit(
                Warned(
                    task.source,
                    f"of the {before.frames} frames of the interrupted run some are damaged: it goes on after "
                    f"{good.frames}",
                )
            )
        else:
            log.info(f"{task.target}: going on after {good.frames} frames")
        return good

    def _leave(self, task: Task, sink: Sink, progress: Progress, emit: Emit) -> None:
        """After Ctrl-C: something to look at, and what to do next."""
        path = sink.finish_partly(progress.last_duration)
        if path is not None:
            text = f"{path} has the first {progress.frames} frames; the same command with --resume goes on"
            emit(Warned(task.source, text))

    def _clean(self, task: Task, checkpoint: FilmCheckpoint) -> None:
        from stylecli.media.video.sink import partial_path

        checkpoint.remove()
        partial_path(task.target).unlink(missing_ok=True)

    def _settings(self, task: Task) -> Settings:
        """All that decides a result but the film itself; as far as it is known before the network is loaded."""
        return {**self._by_style[task.style], **mask_settings(self._masks(task), task.source)}

    def _masks(self, task: Task) -> Sequence[Masks | None]:
        """Of the layers of its style, and at the end that of all."""
        (_, spec), *_ = next(line.keys for line in self.timelines if line.name == task.style)
        return (*spec.masks, self.mask)

    def _finish(self, task: Task, rate: Fraction) -> Callable[[Frame, FloatArray, float], FloatArray]:
        """What is done last: of a frame's paintings, each is seen in its place alone."""
        limit = self.excerpt.max_pixels
        *layers, whole = [
            None if masks is None else masks.of_film(task.source, rate, limit) for masks in self._masks(task)
        ]
        if not any(layers) and whole is None:
            return lambda frame, painted, seconds: painted
        import numpy as np

        from stylecli.paint.pixels import to_floats
        from stylecli.paint.regions import Regions

        regions = Regions(layers, whole)

        def finish(frame: Frame, painted: FloatArray, seconds: float) -> FloatArray:
            painters = [lambda _, part=part: part for part in np.split(painted, len(layers))]
            return regions.paint(painters, to_floats(frame.pixels), seconds)

        return finish

    @cached_property
    def _by_style(self) -> dict[str, Settings]:
        common = {
            **self.options.settings,
            **self.loading.settings,
            "excerpt": repr(self.excerpt),
            "encoding": repr(self.encoding),
            "temporal": self.temporal,
        }
        return {line.name: {**common, "style": line.fingerprint()} for line in self.timelines}

    def _fingerprint(self, task: Task, loaded: Settings) -> str:
        """Of everything that decides what comes out: a run may go on only where all of it is the same."""
        status = task.source.stat() if exists(task.source) else None
        file = None if status is None else (status.st_size, status.st_mtime_ns)
        source = {"version": __version__, "source": os.fspath(task.source), "file": file}
        return fingerprint({**self._settings(task), **loaded, **source})


def _size(target: Path, painted: int) -> int:
    """Bytes of the result with its sound; of numbered pictures what was ``painted``."""
    try:
        return target.stat().st_size
    except OSError:
        return painted


class _Reporter:
    """Reports progress, not more often than anybody can look."""

    def __init__(self, task: Task, source: Source, sink: Sink, begun_at: int, emit: Emit) -> None:
        self._task, self._total, self._sink, self._emit = task, source.clip.frames, sink, emit
        self._begun_at, self._begun, self._last = begun_at, time.monotonic(), 0.0

    def __call__(self, frames: int) -> None:
        now = time.monotonic()
        if now - self._last < _EVERY_S and frames != self._total:
            return
        self._last = now
        rate = (frames - self._begun_at) / max(1e-9, now - self._begun)
        task = self._task
        self._emit(Advanced(task.source, task.style, frames, self._total, rate, self._sink.bytes))


def _preview_of(target: Path) -> Path:
    return target.with_name(f"{target.stem.replace('%', '')}.preview.png")


def _kind(suffix: str) -> str | None:
    suffix = suffix.lower()
    if suffix in (*_KEPT, *_ANIMATED, *_PICTURES):
        return suffix
    return None
