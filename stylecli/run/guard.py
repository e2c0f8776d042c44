"""No result may replace what the user had: inputs, style images, weights; whatever names lead to them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import UsageError
from stylecli.run.events import STREAM
from stylecli.run.paths import canonical_path, file_id, is_folder, resolved

if TYPE_CHECKING:
    from stylecli.run.plan import Task

Files = Callable[[Path], Sequence[Path]]


class Protected:
    """Files that must stay as they are, each with what it is to the user.

    Known by name and by what the names lead to (symbolic and hard links): the file itself is compared.
    """

    def __init__(self, files: Iterable[tuple[Path, str]] = ()) -> None:
        self._what: dict[object, tuple[Path, str]] = {}
        for path, what in files:
            for key in _keys(path):
                self._what.setdefault(key, (path, what))

    def refuse(self, target: Path) -> None:
        """Raise UsageError where writing to ``target`` would replace one of them."""
        for key in _keys(target):
            if key in self._what:
                path, what = self._what[key]
                leads = "" if canonical_path(path) == canonical_path(target) else f" leads to {path} and"
                raise UsageError(f"{target}{leads} is {what} itself: choose another -o")


def _keys(path: Path) -> list[object]:
    if path == STREAM:
        return []
    return [key for key in (canonical_path(path), file_id(path)) if key is not None]


def refuse_loss(
    tasks: Sequence[Task],
    kept: Mapping[Path, str],
    will_write: Callable[[Task], bool],
    reads: Files,
    writes: Files,
) -> None:
    """No result may replace its own input or one of ``kept`` (file -> what it is), ``--overwrite`` or not; nor, where
    it is really going to be written, another input that it is a link to.

    ``reads(source)`` and ``writes(target)`` are the files that one name stands for, such as numbered pictures.
    """
    always = Protected(kept.items())
    inputs: dict[object, Path] = {file_id(file): file for task in tasks for file in reads(task.source)}
    for task in tasks:
        if task.target == STREAM:
            continue
        if is_folder(task.target):
            raise UsageError(f"{task.target} is a folder, and the result for {task.source} needs that name")
        own = Protected((file, "the input") for file in reads(task.source))
        for file in writes(task.target):
            own.refuse(file)
            always.refuse(file)
            other = inputs.get(file_id(file) or ())
            if other is not None and canonical_path(other) != canonical_path(file) and will_write(task):
                raise UsageError(f"{file} leads to {other}, another input itself: choose another -o")


def refuse_collisions(tasks: Sequence[Task]) -> None:
    """Two results on one file is a loss on some file system, so letters' case makes no difference here."""
    taken: dict[object, Task] = {}
    clashes: list[tuple[Task, Task]] = []
    for task in tasks:
        if task.target == STREAM:
            continue
        first = taken.setdefault(unicodedata.normalize("NFC", resolved(task.target)).casefold(), task)
        if first is not task:
            clashes.append((first, task))
    if clashes:
        first, second = clashes[0]
        both = (
            second.target
            if canonical_path(first.target).casefold() == canonical_path(second.target).casefold()
            else ""
        )
        more = f" (and {len(clashes) - 1} more such pairs)" if len(clashes) > 1 else ""
        raise UsageError(
            f"{first.source} and {second.source} would both become {both or resolved(second.target)}{more}: "
            "rename one, or run them into different -o folders"
        )
