"""Places that cannot be written: found before the work, and not tried again and again after the first failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stylecli.files.atomic import WriteError, check_writable, disk_of
from stylecli.files.remote import RemotePath
from stylecli.run.events import STREAM, Event, Failed, NotBegun
from stylecli.run.plan import Task


class FullDisks:
    """Disks with no room for anything more. What would go there is not begun."""

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}

    def note(self, task: Task, error: Exception) -> None:
        """Remember the disk of ``task`` where ``error`` says that it is full."""
        if isinstance(error, WriteError) and error.no_room and not _elsewhere(task):
            self._reasons[disk_of(task.target)] = error.reason

    def refuses(self, task: Task) -> NotBegun | None:
        """What to report instead of trying; None where there may be room."""
        if not self._reasons or _elsewhere(task):
            return None
        reason = self._reasons.get(disk_of(task.target))
        return None if reason is None else _not_begun(task, reason)


def writable(tasks: Sequence[Task], emit: Callable[[Event], None]) -> list[Task]:
    """The tasks whose targets can be written; the others are reported, with the reason once for each place."""
    here = [
        task.target for task in tasks if task.target != STREAM and not isinstance(task.target, RemotePath)
    ]
    problems = check_writable(here)
    told: list[WriteError] = []
    good = []
    for task in tasks:
        error = problems.get(task.target)
        if error is None:
            good.append(task)
        elif error in told:
            emit(_not_begun(task, error.reason))
        else:
            told.append(error)
            emit(Failed(task.source, str(error), task.target, task.style))
    return good


def _elsewhere(task: Task) -> bool:
    return task.target == STREAM or isinstance(task.target, RemotePath)


def _not_begun(task: Task, reason: str) -> NotBegun:
    return NotBegun(task.source, f"not begun: {reason}", task.target, task.style)
