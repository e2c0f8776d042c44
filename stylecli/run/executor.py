"""Who carries out a plan: this process, several of this machine, or a cluster. One interface for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stylecli.errors import UsageError
from stylecli.files.atomic import remove_stale_temporaries
from stylecli.files.remote import RemotePath
from stylecli.paint.options import LoadOptions, PaintOptions
from stylecli.run.events import STREAM, Event
from stylecli.run.masks import Masks
from stylecli.run.plan import Task
from stylecli.run.style_specs import StyleSpec

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.handout import Handout
    from stylecli.run.stream import Portion

Emit = Callable[[Event], None]
Load = Callable[[], "Stylizer"]
CarryOut = Callable[["Iterable[Portion]", Emit, threading.Event], None]
"""Does portions as they come (empty ones while there are none), until the event is set: see ``Job.patient``."""


class Job(Protocol):
    """Pictures or films, and how they are painted: ``ImageJob``, ``FilmJob``."""

    @property
    def options(self) -> PaintOptions: ...
    @property
    def loading(self) -> LoadOptions: ...
    @property
    def specs(self) -> Sequence[StyleSpec]: ...
    @property
    def mask(self) -> Masks | None: ...
    @property
    def patient(self) -> bool:
        """Whether the event alone ends it, at a good place; otherwise KeyboardInterrupt does, and no file is left half
        done."""

    def alone(self, todo: Sequence[Task], load: Load, emit: Emit) -> None:
        """Do ``todo`` in this process. Raises what loading raises, and KeyboardInterrupt."""

    def handout(self, todo: Sequence[Task], workers: int, emit: Emit) -> Handout:
        """``todo`` as portions for so many workers."""

    def prepared(self, load: Load) -> CarryOut:
        """In a worker: with the network loaded and the styles encoded."""

    def loaded_by(self, loading: LoadOptions) -> Job:
        """The same with other options of loading."""

    def with_files(self, here: Mapping[Path, Path]) -> Job:
        """The same with its style images and masks at other places."""


class Executor(Protocol):
    """Carries out ``todo``, a part of the plan of ``job``, and reports each task through ``emit``.

    ``load`` gives the network where this process needs it. Raises what loading raises, and KeyboardInterrupt: what is
    finished stays, and nothing half-written does.
    """

    def paint(self, job: Job, todo: Sequence[Task], load: Load, emit: Emit) -> None: ...


class InProcess:
    """Here, one after the other."""

    def paint(self, job: Job, todo: Sequence[Task], load: Load, emit: Emit) -> None:
        job.alone(todo, load, emit)


def check_files(todo: Sequence[Task], among: str, option: str) -> None:
    """Raises UsageError for stdin and stdout: only this process has them."""
    if any(STREAM in (task.source, task.target) for task in todo):
        raise UsageError(f"-: stdin and stdout cannot be shared {among}; leave out {option}")


def tidy(todo: Sequence[Task]) -> None:
    """Remove what workers that died on this machine left half-written beside the results."""
    for folder in dict.fromkeys(task.target.parent for task in todo):
        if not isinstance(folder, RemotePath):
            remove_stale_temporaries(folder)
