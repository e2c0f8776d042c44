"""From the INPUT arguments of a command line to the list of images they mean."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stylecli.files.atomic import is_temporary
from stylecli.media.formats import foreign_suffixes, readable_suffixes

_JUNK = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
_JUNK_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin"})
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Found:
    """One image to read."""

    path: Path
    root: Path | None
    """The folder argument (or the fixed part of a pattern) it was found under; None for a plain file."""

    @property
    def relative(self) -> Path:
        """Where it stands below ``root``; its bare name for a plain file. Mirrors folder trees."""
        return Path(self.path.name) if self.root is None else self.path.relative_to(self.root)


@dataclass(frozen=True)
class Problem:
    """One argument that means no image, or a folder that cannot be listed."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Discovery:
    """What was found, in the order of the arguments and naturally sorted within folders and patterns."""

    images: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    """Pictures in folders that cannot be read here, of one kind each: what would help."""


def find_images(
    inputs: Sequence[str],
    *,
    recursive: bool,
    suffixes: Callable[[], frozenset[str]] = readable_suffixes,
    kind: str = "image",
) -> Discovery:
    """Expand files, folders and glob patterns. Never raises for what a user can mistype.

    Files are taken whatever their suffix (reading tells what is wrong with them); from folders and
    patterns come files with an image's suffix, without hidden and system files; a pattern that names
    a suffix itself (``*.dat``) gets what it names. What exists literally is never a pattern, so names
    with brackets work. ``recursive`` descends into the subfolders of folder arguments; ``**`` in a
    pattern always does. A file meant twice is taken once, where it came first. Other ``suffixes`` find files of
    another ``kind``, such as films.
    """
    search = _Search(recursive, suffixes, kind, foreign_suffixes() if suffixes is readable_suffixes else {})
    discovery = Discovery()
    seen: set[str] = set()
    for text in inputs:
        before = len(discovery.problems)
        found = list(_expand(text, search, discovery.problems))
        for one in found:
            key = os.path.normcase(os.path.abspath(one.path))  # noqa: PTH100 (resolve() would merge links)
            if key not in seen:
                seen.add(key)
                discovery.images.append(one)
        discovery.left_out.extend(search.told(text))
        if not found and len(discovery.problems) == before:
            discovery.problems.append(Problem(text, _why_empty(text, search)))
    return discovery


@dataclass(frozen=True)
class _Search:
    recursive: bool
    suffixes: Callable[[], frozenset[str]]
    kind: str
    foreign: Mapping[str, tuple[str, str]]
    met: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def wants(self, name: str) -> bool:
        suffix = Path(name).suffix.lower()
        if suffix in self.foreign and not _is_junk(name):
            self.met.setdefault(self.foreign[suffix], []).append(name)
        return suffix in self.suffixes()

    def told(self, text: str) -> Iterator[Problem]:
        """What was met and left out since the last time, while looking through ``text``."""
        for (what, help_), names in self.met.items():
            count = (
                f"{len(names)} {what}s" if len(names) > 1 else f"{'an' if what[0] in 'AEIO' else 'a'} {what}"
            )
            shown = ", ".join(sorted(names, key=_natural)[:3]) + (", …" if len(names) > 3 else "")
            yield Problem(text, f"{count} left out ({shown}): {help_}")
        self.met.clear()


def _expand(text: str, search: _Search, problems: list[Problem]) -> Iterator[Found]:
    path = Path(text)
    if not text:  # Path("") is the current folder, which nobody named
        problems.append(Problem('""', "an empty name; for this folder write ."))
        return
    try:
        if path.is_dir():
            for file in _walk(path, search, problems):
                yield Found(file, path)
        elif path.exists():
            yield Found(path, None)
        elif path.is_symlink():
            problems.append(Problem(text, "a link to a file that does not exist"))
        elif glob.has_magic(text):
            yield from _expand_pattern(path, search, problems)
        else:
            problems.append(Problem(text, "no such file or folder"))
    except (OSError, ValueError, RuntimeError, re.error) as error:  # no permission, name too long, NUL in it
        problems.append(Problem(text, _reason(error)))


def _expand_pattern(pattern: Path, search: _Search, problems: list[Problem]) -> Iterator[Found]:
    # The leading parts that exist as written are no pattern, even with brackets in their names.
    root, rest = Path(pattern.anchor), list(pattern.parts[1:] if pattern.anchor else pattern.parts)
    while rest and (root / rest[0]).exists():
        root /= rest.pop(0)
    suffix = Path(rest[-1]).suffix
    named = bool(suffix) and not glob.has_magic(suffix)
    hits = glob.glob(os.path.join(*rest), root_dir=root, recursive=True)  # noqa: PTH118, PTH207
    for hit in sorted(hits, key=_natural):
        path = root / hit
        if any(_is_junk_folder(part) and part not in rest for part in Path(hit).parts[:-1]):
            continue
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where it may not look
            if "**" not in rest and not _is_junk_folder(path.name):
                for file in _walk(path, search, problems):
                    yield Found(file, root)
        elif not _is_junk(path.name) and (named or search.wants(path.name)) and not _is_special(path):
            yield Found(path, root)


def _walk(root: Path, search: _Search, problems: list[Problem]) -> Iterator[Path]:
    """Images of one folder in natural order, then those of its subfolders; loops of links end.

    What cannot be looked at is named, and the rest goes on.
    """
    folders, visited = [root], set()
    while folders:
        folder = folders.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: _natural(entry.name))
        except OSError as error:
            problems.append(Problem(str(folder), f"folder cannot be listed: {_reason(error)}"))
            continue
        subfolders = []
        for entry in listed:
            wanted = not _is_junk(entry.name) and search.wants(entry.name)
            try:
                if entry.is_dir():
                    if search.recursive and not _is_junk_folder(entry.name):
                        subfolders.append(folder / entry.name)
                elif wanted and entry.is_file():
                    yield folder / entry.name
                elif wanted and entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
                    problems.append(Problem(entry.path, "a link to a file that does not exist"))
                # Pipes, sockets and devices in a folder are nobody's pictures; to open one may take for ever.
            except OSError as error:  # links in a circle, or into a folder that may not be entered
                if wanted:
                    problems.append(Problem(entry.path, _reason(error)))
        folders += reversed(subfolders)


def _is_special(path: Path) -> bool:
    """Whether this is a pipe, a socket or a device."""
    return os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113


def _reason(error: Exception) -> str:
    """What the system says, as the second half of a line."""
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "links that lead in a circle"
    reason = getattr(error, "strerror", None) or str(error)
    return reason[:1].lower() + reason[1:]


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _JUNK or is_temporary(Path(name))


def _is_junk_folder(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _JUNK_FOLDERS


def _natural(name: str) -> tuple[list[str | int], str]:
    """``img2`` before ``img10``; upper and lower case together; the name itself settles ties."""
    parts = _DIGITS.split(name.casefold())  # text, digits, text, digits, ... : comparable pairwise
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def _why_empty(text: str, search: _Search) -> str:
    path = Path(text)
    if not path.is_dir():
        return f"no {search.kind} matches this pattern"
    if not search.recursive and any(os.path.isdir(child) for child in path.iterdir()):  # noqa: PTH112
        return f"no {search.kind}s in this folder (--recursive looks into its subfolders)"
    return f"no {search.kind}s in this folder"
