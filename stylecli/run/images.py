"""Images from end to end: find, plan, load the model, stream."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import StylizeError, UsageError
from stylecli.files import remote
from stylecli.files.remote import RemotePath
from stylecli.memory import free_memory
from stylecli.paint.options import LoadOptions, PaintOptions
from stylecli.paint.settings import Settings
from stylecli.run.disks import writable
from stylecli.run.events import STREAM, Failed, Warned
from stylecli.run.executor import CarryOut, Emit, Executor, InProcess, Load
from stylecli.run.handout import Handout, shares
from stylecli.run.masks import Masks, kept_masks, mask_settings, regions_of, with_masks
from stylecli.run.painters import resolve_painters
from stylecli.run.paths import canonical_path, is_folder
from stylecli.run.plan import Found, Naming, Plan, Stdin, Task, make_plan
from stylecli.run.shard import Shard
from stylecli.run.stream import PIXELS_IN_FLIGHT, PaintFunction, Work, failed, portions, stream
from stylecli.run.style_specs import StyleSpec
from stylecli.threads import cores

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.media.discover import Problem
    from stylecli.paint.regions import Regions
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.face_report import Finding

# Of free memory for each pixel that is being worked on: a third for the files' own pixels.
_BYTES_IN_FLIGHT = 40
_MOST_WRITERS = 4


@dataclass(frozen=True)
class ImageJob:
    """What was asked for. ``output`` is as typed (a trailing slash means a folder), ``-`` is a stream."""

    inputs: Sequence[str]
    specs: Sequence[StyleSpec]
    output: str | None = None
    recursive: bool = False
    shard: Shard = field(default_factory=Shard)
    overwrite: bool = False
    max_size: int | None = None
    max_pixels: int = 400_000_000
    format: str | None = None
    quality: int | None = None
    memory_limit: int | None = None  # bytes
    mask: Masks | None = None
    options: PaintOptions = field(default_factory=PaintOptions)
    loading: LoadOptions = field(default_factory=LoadOptions)
    kept: Mapping[Path, str] = field(
        default_factory=dict
    )  # further files that no result may replace: what they are
    executor: Executor = field(default_factory=InProcess)
    only: frozenset[str] | None = (
        None  # places of the inputs that are meant this time, where folders are watched
    )

    def plan(self, emit: Emit) -> Plan:
        """Settle what becomes what. Reports refused inputs and finished results; writes nothing.

        Raises UsageError when results would collide or the options contradict each other.
        """
        from stylecli.media import is_animated, output_suffix
        from stylecli.media.formats import writer_for
        from stylecli.run.provenance import has_provenance, picture_differs, sort_finished

        found, problems = self._find(emit)
        plan = make_plan(
            found,
            [spec.name for spec in self.specs],
            Naming(self.output, self.format, output_suffix, writer_for, is_animated),
            several=self.only is not None or len(found) + len(problems) > 1,
            overwrite=self.overwrite,
            kept={
                **{path: "the style image" for spec in self.specs for path in spec.files},
                **kept_masks(self.specs, self.mask),
                **self.kept,
            },
            shard=self.shard,
            made_by_us=has_provenance,
        )
        if self.only is None:
            for problem in problems:
                emit(problem)
        else:  # a folder may be empty still
            meant = self.only
            todo, finished = (
                tuple(task for task in tasks if canonical_path(task.source) in meant)
                for tasks in (plan.todo, plan.finished)
            )
            plan = replace(plan, todo=todo, finished=finished)
        plan = with_masks(plan, self._masks, emit)
        return sort_finished(plan, self._settings, picture_differs, emit)

    def _settings(self, task: Task) -> Settings:
        """All that decides a result but the photograph itself; as far as it is known before the network is loaded."""
        return {**self._by_style[task.style], **mask_settings(self._masks(task), task.source)}

    def _masks(self, task: Task) -> Sequence[Masks | None]:
        """Of the layers of its style, and at the end that of all."""
        return (*next(spec.masks for spec in self.specs if spec.name == task.style), self.mask)

    def _regions(self, task: Task) -> Regions | None:
        return regions_of(self._masks(task), task.source, self.options.faces, self.max_pixels)

    def faces(self, plan: Plan, emit: Emit) -> Iterator[Finding]:
        """What would be taken for faces in the pictures of ``plan``, but for stdin's; those that cannot be read are
        failures."""
        from stylecli.media.transparency import continued
        from stylecli.paint.faces import find_faces
        from stylecli.run.face_report import Finding

        for task in {task.source: task for task in plan.todo if task.source != STREAM}.values():
            try:
                picture = self._read(task.source)
            except StylizeError as error:
                emit(failed(task, error))
                continue
            seen = continued(picture.pixels, picture.alpha)
            yield Finding(task.source, find_faces(seen), seen)

    @cached_property
    def _by_style(self) -> dict[str, Settings]:
        common = {**self.options.settings, **self.loading.settings}
        own = {"max-size": self.max_size, "quality": self.quality}
        return {spec.name: {**common, "style": spec.fingerprint(), **own} for spec in self.specs}

    def run(self, plan: Plan, load: Callable[[], Stylizer], emit: Emit) -> None:
        """Paint ``plan.todo``, and report pictures that fail. ``load`` is called once one could be read.

        Raises what ``load`` raises, UsageError for an unreadable style image, OutOfMemoryError from
        encoding it, and KeyboardInterrupt after the file being written is complete.
        """
        from stylecli.files.atomic import remove_stale_temporaries

        for folder in dict.fromkeys(task.target.parent for task in plan.todo if task.target != STREAM):
            if not isinstance(folder, RemotePath) and is_folder(folder):
                remove_stale_temporaries(folder)
        todo = writable(plan.todo, emit)
        wanted = {task.style for task in todo}
        needed = replace(
            self, specs=[spec for spec in self.specs if spec.name in wanted], executor=InProcess()
        )
        if todo:
            self.executor.paint(needed, todo, load, emit)

    # What executors ask: see executor.Job.

    @property
    def patient(self) -> bool:
        return False

    def alone(self, todo: Sequence[Task], load: Load, emit: Emit) -> None:
        stream(portions(todo), self.work(load), emit)

    def handout(self, todo: Sequence[Task], workers: int, emit: Emit) -> Handout:
        return Handout(shares(todo, min(workers, len(todo))), emit)

    def prepared(self, load: Load) -> CarryOut:
        work = self.work(load)
        painters = work.painters()
        ready = replace(work, painters=lambda: painters)
        return lambda handed, emit, stop: stream(handed, ready, emit)

    def loaded_by(self, loading: LoadOptions) -> ImageJob:
        return replace(self, loading=loading, memory_limit=loading.memory_limit)

    def with_files(self, here: Mapping[Path, Path]) -> ImageJob:
        specs = [spec.with_files(here) for spec in self.specs]
        return replace(self, specs=specs, mask=None if self.mask is None else self.mask.with_files(here))

    def work(self, load: Callable[[], Stylizer]) -> Work:
        """How a picture of this job is read, painted and written; raises as :meth:`run` does."""
        loaded: dict[str, object] = {}

        def painters() -> Mapping[str, PaintFunction]:
            stylizer = load()
            loaded.update(stylizer.settings)
            return resolve_painters(stylizer, self.specs, self._open, self.options)

        return Work(
            self._read,
            painters,
            lambda picture, task: self._write(picture, task.target, {**self._settings(task), **loaded}),
            min(PIXELS_IN_FLIGHT, free_memory(self.memory_limit) // _BYTES_IN_FLIGHT),
            keep=1.0 if self.options.preserve_color else 1.0 - self.options.strength,
            regions=self._regions,
            writers=1 if self.memory_limit is not None else max(1, min(_MOST_WRITERS, cores() // 2)),
        )

    def _find(self, emit: Emit) -> tuple[Sequence[Found], Sequence[Failed]]:
        """The inputs that look like pictures, and those that do not."""
        from stylecli.media import find_images

        if str(STREAM) in self.inputs:
            if len(self.inputs) > 1:
                raise UsageError("- reads one picture from stdin and cannot be combined with other inputs")
            return [Stdin()], []
        images: list[Found] = []
        problems: list[Problem] = []
        for away, texts in groupby(self.inputs, remote.is_remote):
            if away:
                from stylecli.run.remote_inputs import find_remote

                found = find_remote(texts, self.recursive)
            else:
                found = find_images([*texts], recursive=self.recursive)
            for left_out in found.left_out:
                emit(Warned(Path(left_out.path), left_out.reason))
            images += found.images
            problems += found.problems
        return images, [Failed(remote.as_path(problem.path), problem.reason) for problem in problems]

    def _open(self, path: Path, animated: bool = False) -> Picture:
        from stylecli.media import read_picture

        return read_picture(
            BytesIO(remote.read(path)) if isinstance(path, RemotePath) else path,
            name=str(path),
            max_pixels=self.max_pixels,
            memory_limit=self.memory_limit,
            animated=animated,
        )

    def _read(self, source: Path) -> Picture:
        from stylecli.media import read_picture, resize_to_fit

        if source == STREAM:
            picture = read_picture(
                sys.stdin.buffer,
                name="stdin",
                max_pixels=self.max_pixels,
                memory_limit=self.memory_limit,
                animated=True,
            )
        else:
            picture = self._open(source, animated=True)
        return picture if self.max_size is None else resize_to_fit(picture, self.max_size)

    def _write(self, picture: Picture, target: Path, made: Settings) -> Sequence[str]:
        from stylecli.media import write_picture
        from stylecli.run.provenance import remember, with_provenance

        marked, whole = with_provenance(picture, made), BytesIO()
        if isinstance(target, RemotePath):
            notices = write_picture(marked, whole, format=self.format or target.suffix, quality=self.quality)
            remote.write(target, whole.getvalue(), replace=self.overwrite)
            return notices
        notices = write_picture(
            marked,
            sys.stdout.buffer if target == STREAM else target,
            format=self.format,
            quality=self.quality,
            replace_existing=self.overwrite,
        )
        if target != STREAM:
            remember(target, made)
        return notices
