"""From INPUT arguments to films: files, folders of them, numbered pictures, folders of pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylecli.errors import UsageError
from stylecli.files.cache import cache_dir
from stylecli.files.remote import RemotePath, as_path, is_remote
from stylecli.run.events import STREAM, Failed
from stylecli.run.paths import is_folder
from stylecli.run.plan import Found


@dataclass(frozen=True)
class _Frames:
    """A folder of pictures, or numbered pictures in it, as an input."""

    path: Path
    root: Path | None = None


def find_films(inputs: Sequence[str], *, recursive: bool) -> tuple[Sequence[Found], Sequence[Failed]]:
    """The inputs that look like films, and those that do not. A folder without films but with pictures is one film.

    Raises UsageError for stdin.
    """
    from stylecli.media import find_images
    from stylecli.media.video.animation import FORMATS
    from stylecli.media.video.sequence import is_pattern, numbered
    from stylecli.media.video.source import SUFFIXES

    if str(STREAM) in inputs:
        raise UsageError("a film cannot be read from stdin: name a file")
    found: list[Found] = []
    problems: list[Failed] = []
    for text in inputs:
        if is_remote(text):
            from stylecli.run.remote_inputs import find_remote

            there = find_remote([text], recursive, SUFFIXES - FORMATS.keys(), "film")
            found += there.images
            problems += [Failed(as_path(problem.path), problem.reason) for problem in there.problems]
            continue
        path = Path(text)
        if is_pattern(path):
            if numbered(path):
                found.append(_Frames(path))
            else:
                problems.append(Failed(path, "no such pictures"))
            continue
        films = find_images([text], recursive=recursive, suffixes=lambda: SUFFIXES, kind="film")
        # Most WebP pictures stand still: of a folder only those that move are films.
        moving = [one for one in films.images if one.root is None or not _stands_still(one.path)]
        if is_folder(path) and not moving and find_images([text], recursive=False).images:
            found.append(_Frames(path))
            continue
        found += moving
        problems += [Failed(Path(problem.path), problem.reason) for problem in films.problems]
    return found, problems


def _stands_still(path: Path) -> bool:
    from stylecli.media.video.animation import is_animation

    return path.suffix.lower() == ".webp" and not is_animation(path)


def workplace(target: Path) -> Path:
    """Where a film is made: in its place, or on this machine before it is sent to its address."""
    if not isinstance(target, RemotePath):
        return target
    return cache_dir() / "films" / hashlib.sha256(str(target).encode()).hexdigest()[:16] / target.name


def files_read(source: Path) -> Sequence[Path]:
    """The files of an input: one, or its numbered pictures."""
    from stylecli.media import find_images
    from stylecli.media.video.sequence import is_pattern, numbered

    if is_folder(source):
        return [one.path for one in find_images([str(source)], recursive=False).images]
    if is_pattern(source):
        return [file for _, file in numbered(source)] if is_folder(source.parent) else []
    return [source]


def files_written(target: Path) -> Sequence[Path]:
    """The files that making ``target`` replaces or removes."""
    from stylecli.media.video.sink import partial_path

    return [target, partial_path(target), *files_read(target)]
