"""Places that cannot be written: found before the work, and not tried again and again after the first failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stylecli.files.atomic import WriteError, check_writable, disk_of
from stylecli.files.remote import RemotePath
from stylecli.run.events import STREAM, Event, Failed, NotBegun
from stylecli.run.plan import Item


class FullDisks:
    """Disks with no room for anything more. What would go there is not begun."""

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}

    def note(self, item: Item, error: Exception) -> None:
        """Remember the disk of ``item`` where ``error`` says that it is full."""
        if isinstance(error, WriteError) and error.no_room and not _elsewhere(item):
            self._reasons[disk_of(item.target)] = error.reason

    def refuses(self, item: Item) -> NotBegun | None:
        """What to report instead of trying; None where there may be room."""
        if not self._reasons or _elsewhere(item):
            return None
        reason = self._reasons.get(disk_of(item.target))
        return None if reason is None else _not_begun(item, reason)


def writable(items: Sequence[Item], emit: Callable[[Event], None]) -> list[Item]:
    """The items whose targets can be written; the others are reported, with the reason once for each place."""
    here = [
        item.target for item in items if item.target != STREAM and not isinstance(item.target, RemotePath)
    ]
    problems = check_writable(here)
    told: list[WriteError] = []
    good = []
    for item in items:
        error = problems.get(item.target)
        if error is None:
            good.append(item)
        elif error in told:
            emit(_not_begun(item, error.reason))
        else:
            told.append(error)
            emit(Failed(item.source, str(error), item.target, item.style))
    return good


def _elsewhere(item: Item) -> bool:
    return item.target == STREAM or isinstance(item.target, RemotePath)


def _not_begun(item: Item, reason: str) -> NotBegun:
    return NotBegun(item.source, f"not begun: {reason}", item.target, item.style)
