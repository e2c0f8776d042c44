"""The plan: which picture becomes which file, settled and checked before any work begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from stylecli.errors import UsageError
from stylecli.files.remote import RemotePath, as_path
from stylecli.run.events import STREAM
from stylecli.run.guard import refuse_collisions, refuse_loss
from stylecli.run.paths import canonical_path, exists, is_folder
from stylecli.run.shard import Shard


class Found(Protocol):
    """An input picture; ``root`` is the folder argument it was found under, None when named itself."""

    @property
    def path(self) -> Path: ...
    @property
    def root(self) -> Path | None: ...


@dataclass(frozen=True)
class Stdin:
    """The one input that is not a file."""

    path: Path = STREAM
    root: Path | None = None


@dataclass(frozen=True)
class Task:
    """One picture in one style. ``source`` may be STREAM (stdin) and ``target`` STREAM (stdout)."""

    source: Path
    target: Path
    style: str


@dataclass(frozen=True)
class Plan:
    """``todo`` keeps the order of the inputs, all styles of one input side by side."""

    todo: tuple[Task, ...]
    finished: tuple[Task, ...]  # their targets exist already
    own: tuple[Path, ...]  # inputs left out because this program made them


@dataclass(frozen=True)
class Naming:
    """Where results go and in which format.

    ``suffix_for(input_suffix, format)`` gives the suffix of a result, with its dot, and raises UsageError
    for a format that cannot be written. ``writer_for(suffix)`` names a suffix's format, None if there is
    none that can be written: it tells that .jpg and .jpeg are the same. ``moves(path)`` looks into a GIF: one that is
    animated becomes one again. ``reads(source)`` and ``writes(target)`` are the
    files that one name stands for, such as numbered pictures.
    """

    output: str | None  # -o as typed: a trailing slash means a folder
    format: str | None
    suffix_for: Callable[[str, str | None], str]
    writer_for: Callable[[str], str | None]
    moves: Callable[[Path], bool] = lambda path: False
    reads: Callable[[Path], Sequence[Path]] = lambda path: (path,)
    writes: Callable[[Path], Sequence[Path]] = lambda path: (path,)


def make_plan(
    found: Sequence[Found],
    styles: Sequence[str],
    naming: Naming,
    *,
    several: bool = False,
    overwrite: bool = False,
    kept: Mapping[Path, str] = MappingProxyType({}),
    made_by_us: Callable[[Path], bool] = lambda path: False,
    shard: Shard = Shard(),  # noqa: B008 - frozen
) -> Plan:
    """Pair every input with every style.

    ``several`` says that more than one input was asked for although only one was found. ``made_by_us``
    looks into a file; it is asked only about pictures that are named like a result of another input.
    ``kept`` are further files and what they are to the user, such as style images.
    What is refused is refused for every ``shard`` alike; then only its part is kept.
    Raises UsageError when two results would land on one file, or one on an input or on one of ``kept``.
    """
    naming.suffix_for("", naming.format)  # a wrong --format is refused before all else
    found = _once(found)
    place = _place(naming, many=several or len(found) * len(styles) > 1)
    if isinstance(place, _Folder) and naming.output is not None:
        found = [one for one in found if not _inside_output(one, place.path)]
    pairs = [(one, Task(one.path, place.target(one, style), style)) for one in found for style in styles]
    for _, task in pairs:
        if isinstance(task.target, RemotePath) and not task.target.writable:
            raise UsageError(f"{task.source} can only be read: say with -o where its result goes")
    refuse_loss(
        [task for _, task in pairs],
        kept,
        lambda task: overwrite or not exists(task.target),
        naming.reads,
        naming.writes,
    )
    # A result of an input in this plan is never an input itself: otherwise a second run over the folder,
    # or a shell's *.jpg, would paint the paintings.
    targets = {canonical_path(task.target) for _, task in pairs if task.target != STREAM}
    kin = _Kin(found)
    own = {
        one.path: None
        for one, _ in pairs
        if canonical_path(one.path) in targets or (kin.looks_like_result(one.path) and made_by_us(one.path))
    }
    kept_pairs = [(one, task) for one, task in pairs if task.source not in own]
    refuse_collisions([task for _, task in kept_pairs])
    tasks = [task for one, task in kept_pairs if shard.takes(_below(one) / task.target.name)]
    # Results are renamed into place when complete: one that exists is finished.
    finished = [] if overwrite else [task for task in tasks if task.target != STREAM and exists(task.target)]
    done = set(finished)
    return Plan(tuple(task for task in tasks if task not in done), tuple(finished), tuple(own))


@dataclass(frozen=True)
class _OneFile:
    path: Path

    def target(self, one: Found, style: str) -> Path:
        return self.path


@dataclass(frozen=True)
class _Folder:
    """``path`` None is beside the input."""

    path: Path | None
    naming: Naming

    def target(self, one: Found, style: str) -> Path:
        if one.path == STREAM:
            stem, suffix, parent = "stdin", "", Path()
        else:
            stem, suffix = one.path.stem, one.path.suffix
            parent = _below(one)
        written = self.naming.suffix_for(suffix, self.naming.format)
        if suffix.lower() == ".gif" and self.naming.format is None and self.naming.moves(one.path):
            written = ".gif"
        if self.naming.format is None and written != suffix.lower():
            # Nobody asked for another format, so a.gif and a.psd may stand side by side: both would be
            # a.starry.png, and so would a.png if it were added later.
            stem += suffix
        name = f"{stem}.{style}{written}"
        if self.path is None:
            return STREAM if one.path == STREAM else one.path.with_name(name)
        return self.path / parent / name


def _below(one: Found) -> Path:
    """The folders between the argument that ``one`` was found under and itself."""
    return one.path.relative_to(one.root).parent if one.root is not None else Path()


def _place(naming: Naming, *, many: bool) -> _OneFile | _Folder:
    """Decide whether ``-o`` means a file or a folder."""
    output = naming.output
    if output is None:
        return _Folder(None, naming)
    if output == "-":
        if many:
            raise UsageError("-o - writes one picture to stdout: give one input and one style")
        return _OneFile(STREAM)
    path = as_path(output)
    if isinstance(path, RemotePath) and not path.writable:
        raise UsageError(
            f"-o {output}: {path.protocol}:// can be read only; results go to a folder, s3:// or the like"
        )
    if output.endswith(("/", os.sep)) or is_folder(path) or not path.suffix:
        if exists(path) and not is_folder(path):
            raise UsageError(f"-o {output} is a file, not a folder")
        return _Folder(path, naming)
    wanted = naming.writer_for(path.suffix)
    if many:
        if exists(path):
            raise UsageError(f"-o {output} is a file, but there are several results: name a folder")
        if wanted is not None:
            raise UsageError(
                f"-o {output} looks like a file, but there are several results: name a folder ({output}/)"
            )
        return _Folder(path, naming)
    if wanted is None:
        raise UsageError(
            f"-o {output}: '{path.suffix}' is not a format that can be written (a folder? then {output}/)"
        )
    if naming.format is not None and naming.writer_for(naming.format) != wanted:
        raise UsageError(f"-o {output} and --format {naming.format} contradict each other: drop one")
    return _OneFile(path)


def _once(found: Sequence[Found]) -> list[Found]:
    """Leave out what was named twice; under a folder argument counts more than named alone."""
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(canonical_path(one.path), one)
    return list(first.values())


def _inside_output(one: Found, output: Path | None) -> bool:
    """Was ``one`` found in the output folder, which lies inside the folder that was searched?"""
    if output is None or one.root is None:
        return False
    root, out = Path(_real(one.root)), Path(_real(output))
    return out != root and out.is_relative_to(root) and Path(canonical_path(one.path)).is_relative_to(out)


def _real(path: Path) -> str:
    return str(path) if isinstance(path, RemotePath) else os.path.realpath(path)


class _Kin:
    """Knows which inputs are named like a result of another input beside them: a.jpg and a.starry.png."""

    def __init__(self, found: Sequence[Found]) -> None:
        self._stems = {(one.path.parent, one.path.stem) for one in found}

    def looks_like_result(self, path: Path) -> bool:
        words = path.stem.split(".")
        stems = (".".join(words[:count]) for count in range(1, len(words)))
        return any((path.parent, stem) in self._stems for stem in stems)
