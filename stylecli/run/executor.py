"""Who paints the pictures of a plan: this process, several of this machine, or a cluster. One interface for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from stylecli.errors import UsageError
from stylecli.files.atomic import remove_stale_temporaries
from stylecli.run.events import STREAM, Event
from stylecli.run.plan import Task
from stylecli.run.stream import portions, stream

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.images import ImageJob


class Executor(Protocol):
    """Paints ``todo``, a part of the plan of ``job``, and reports each task through ``emit``.

    ``load`` gives the network where this process needs it. Raises what loading raises, and KeyboardInterrupt: what is
    finished stays, and nothing half-written does.
    """

    def paint(
        self,
        job: ImageJob,
        todo: Sequence[Task],
        load: Callable[[], Stylizer],
        emit: Callable[[Event], None],
    ) -> None: ...


def check_files(todo: Sequence[Task], among: str, option: str) -> None:
    """Raises UsageError for stdin and stdout: only this process has them."""
    if any(STREAM in (task.source, task.target) for task in todo):
        raise UsageError(f"-: stdin and stdout cannot be shared {among}; leave out {option}")


def tidy(todo: Sequence[Task]) -> None:
    """Remove what workers that died on this machine left half-written beside the results."""
    for folder in dict.fromkeys(task.target.parent for task in todo):
        remove_stale_temporaries(folder)


class InProcess:
    """Here, in one stream."""

    def paint(
        self,
        job: ImageJob,
        todo: Sequence[Task],
        load: Callable[[], Stylizer],
        emit: Callable[[Event], None],
    ) -> None:
        stream(portions(todo), job.work(load), emit)
