"""Films from end to end: find, plan, load the model, paint one after the other."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli import __version__
from stylecli.errors import StylizeError, UsageError
from stylecli.files.claim import is_claimed
from stylecli.files.remote import RemotePath
from stylecli.interrupt import one_ctrl_c
from stylecli.paint.options import LoadOptions, PaintOptions
from stylecli.paint.settings import Settings, fingerprint
from stylecli.run.events import STREAM
from stylecli.run.executor import CarryOut, Emit, Executor, InProcess, Load
from stylecli.run.face_track import FaceTrack, find_in_film, follow_faces
from stylecli.run.film_checkpoint import FilmCheckpoint
from stylecli.run.film_inputs import files_read, files_written, find_films, workplace
from stylecli.run.guard import refuse_collisions, refuse_loss
from stylecli.run.masks import Masks, kept_masks, mask_settings, with_masks
from stylecli.run.paths import exists, is_folder
from stylecli.run.plan import Naming, Plan, Task, make_plan
from stylecli.run.shard import Shard
from stylecli.run.stream import failed
from stylecli.run.style_specs import StyleSpec
from stylecli.run.timeline import FilmPainter, Timeline, film_painters

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.media.picture import FloatArray
    from stylecli.media.video.clip import Clip, Excerpt, Frame
    from stylecli.media.video.encoding import Coding, Encoding
    from stylecli.paint.regions import PhotoMask
    from stylecli.run.face_report import Finding
    from stylecli.run.handout import Handout
    from stylecli.run.stream import Portion

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
_FEW = 4  # films for each worker: with less some would wait for the last, and films are cut


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
    executor: Executor = field(default_factory=InProcess)

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
        plan = sort_finished(plan, self.settings, picture_differs if self.preview else film_differs, emit)
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

        suffix, place = task.target.suffix.lower(), workplace(task.target)
        if place != task.target and suffix not in self.encoding.suffixes:
            raise UsageError(
                f"{task.target}: {suffix} does not go to an address, {self.encoding.suffixes[0]} does"
            )
        if self.is_numbered(task):
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
        if is_claimed(place):
            return  # the run that is at it has its own frames there; this one will say so
        before = FilmCheckpoint(place).read()
        if before is not None and not self.resume:
            raise UsageError(
                f"{task.target}: {before.frames or 'some'} frames of an interrupted run are there: --resume goes on "
                "with it, --overwrite begins again"
            )
        if there and before is None:
            raise UsageError(f"{there[0][1]} exists already: --overwrite makes such pictures again")

    def is_numbered(self, task: Task) -> bool:
        """Whether numbered pictures were asked for: a ``%d`` that stood in the input's name asks for nothing."""
        from stylecli.media.video.sequence import is_pattern

        return self.output is not None and task.target == Path(self.output) and is_pattern(task.target)

    def is_animated(self, task: Task) -> bool:
        """Whether the result is an animated picture."""
        return task.target.suffix.lower() in _ANIMATED and not self.is_numbered(task)

    def coding(self, result: Path, clip: Clip) -> Coding:
        """How ``clip`` is encoded. Raises InputError."""
        return self.encoding.holding(clip, result.suffix.lower()).plan(clip)

    def layers(self, task: Task) -> int:
        """How many paintings of a frame there are."""
        return len(self._masks(task)) - 1

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

    def run(self, plan: Plan, load: Load, emit: Emit) -> None:
        """Paint ``plan.todo``, and report films that fail. ``load`` is called once, when a film could be opened.

        Raises what ``load`` raises, UsageError for an unreadable style image, OutOfMemoryError from encoding it, and
        KeyboardInterrupt: after the first Ctrl-C once the group being painted is complete, after a second at once.
        """
        self.executor.paint(replace(self, executor=InProcess()), plan.todo, load, emit)

    # What executors ask: see executor.Job.

    @property
    def patient(self) -> bool:
        return True

    @property
    def specs(self) -> Sequence[StyleSpec]:
        return [spec for line in self.timelines for _, spec in line.keys]

    def alone(self, todo: Sequence[Task], load: Load, emit: Emit) -> None:
        from stylecli.run.filming import Filming

        with one_ctrl_c() as stop:
            Filming(self, self._painters(load), emit, stop).do(todo)

    def prepared(self, load: Load) -> CarryOut:
        from stylecli.run.filming import Filming

        painters = self._painters(load)
        for line in self.timelines:
            painters(line.name)

        def carry_out(handed: Iterable[Portion], emit: Emit, stop: threading.Event) -> None:
            filming = Filming(self, painters, emit, stop, shared=True)
            for portion in handed:
                filming.do(portion)

        return carry_out

    def handout(self, todo: Sequence[Task], workers: int, emit: Emit) -> Handout:
        from stylecli.run.film_handout import FilmHandout
        from stylecli.run.film_parts import stretches_of

        few = workers > 1 and len(todo) < _FEW * workers
        films = [(task, stretches_of(self, task, few)) for task in todo]
        return FilmHandout(films, emit, goes_on=self.resume and not self.overwrite)

    def loaded_by(self, loading: LoadOptions) -> FilmJob:
        return replace(self, loading=loading)

    def with_files(self, here: Mapping[Path, Path]) -> FilmJob:
        lines = [line.with_files(here) for line in self.timelines]
        return replace(self, timelines=lines, mask=None if self.mask is None else self.mask.with_files(here))

    def _painters(self, load: Load) -> Callable[[str], FilmPainter]:
        return film_painters(self.timelines, load, self._open, self.options)

    def _open(self, path: Path) -> Picture:
        from stylecli.media import read_picture

        return read_picture(path, name=str(path))

    def settings(self, task: Task) -> Settings:
        """All that decides a result but the film itself; as far as it is known before the network is loaded."""
        return {**self._by_style[task.style], **mask_settings(self._masks(task), task.source)}

    def _masks(self, task: Task) -> Sequence[Masks | None]:
        """Of the layers of its style, and at the end that of all."""
        (_, spec), *_ = next(line.keys for line in self.timelines if line.name == task.style)
        return (*spec.masks, self.mask)

    def spared(self, source: Path, stop: threading.Event) -> PhotoMask | None:
        """A mask made of a film's faces, if they are painted otherwise. Raises KeyboardInterrupt after ``stop``."""
        if self.options.faces == 1:
            return None
        if self.preview:
            from stylecli.paint.faces import Faces

            return Faces(self.options.faces)

        def check() -> None:
            if stop.is_set():
                raise KeyboardInterrupt

        if source not in self._tracks:
            log.info("%s: looking for faces", source)
            self._tracks[source] = follow_faces(self._frames(source), self.options.faces, check)
        return self._tracks[source]

    @cached_property
    def _tracks(self) -> dict[Path, FaceTrack]:
        """Of films that several styles are for, or of which several stretches are painted here."""
        return {}

    def _frames(self, path: Path) -> Iterator[tuple[float, Frame]]:
        """With the seconds at which they are shown."""
        from stylecli.media.video.source import open_source

        source = open_source(path, self.excerpt)
        base, begin = source.clip.time_base, self.excerpt.start or 0.0
        return ((begin + float(frame.pts * base), frame) for frame in source.frames())

    def faces(self, plan: Plan, emit: Emit) -> Iterator[Finding]:
        """What would be taken for faces in the films of ``plan``; those that cannot be read are failures."""
        for task in {task.source: task for task in plan.todo}.values():
            try:
                yield find_in_film(task.source, lambda path=task.source: self._frames(path))  # type: ignore[misc]
            except StylizeError as error:
                emit(failed(task, error))

    def finish(
        self, task: Task, rate: Fraction, spared: PhotoMask | None
    ) -> Callable[[Frame, FloatArray, float], FloatArray]:
        """What is done last: of a frame's paintings, each is seen in its place alone, and as far as ``spared`` lets
        it."""
        limit = self.excerpt.max_pixels
        *layers, whole = [
            None if masks is None else masks.of_film(task.source, rate, limit) for masks in self._masks(task)
        ]
        if not any(layers) and whole is None and spared is None:
            return lambda frame, painted, seconds: painted
        import numpy as np

        from stylecli.paint.pixels import to_floats
        from stylecli.paint.regions import Regions

        regions = Regions(layers, whole, spared)

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

    def fingerprint(self, task: Task, loaded: Settings) -> str:
        """Of everything that decides what comes out: a run may go on only where all of it is the same."""
        is_here = not isinstance(task.source, RemotePath) and exists(task.source)
        status = task.source.stat() if is_here else None
        file = None if status is None else (status.st_size, status.st_mtime_ns)
        source = {"version": __version__, "source": os.fspath(task.source), "file": file}
        return fingerprint({**self.settings(task), **loaded, **source})


def _preview_of(target: Path) -> Path:
    return target.with_name(f"{target.stem.replace('%', '')}.preview.png")


def _kind(suffix: str) -> str | None:
    suffix = suffix.lower()
    if suffix in (*_KEPT, *_ANIMATED, *_PICTURES):
        return suffix
    return None
