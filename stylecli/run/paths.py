"""Questions about paths that must not raise, and one canonical path for each place in the file system."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from stylecli.files import remote
from stylecli.files.remote import RemotePath
from stylecli.run.events import STREAM

# os.path answers False where Path.is_file() raises, for instance for a name that is too long: such a name
# is a user's mistake, to be reported like any other file that is not there.


def is_file(path: Path | str) -> bool:
    if isinstance(there := remote.as_path(path), RemotePath):
        return remote.kind_of(there) == "file"
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path | str) -> bool:
    if isinstance(there := remote.as_path(path), RemotePath):
        return remote.kind_of(there) == "directory"
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: Path | str) -> bool:
    """Whether the name is taken, by a dangling link too."""
    if isinstance(there := remote.as_path(path), RemotePath):
        return remote.kind_of(there) is not None
    return os.path.lexists(path)


def canonical_path(path: Path) -> str:
    """The place ``path`` stands for, however it was spelled; its last part may itself be a link."""
    if path == STREAM:
        return "-"
    if isinstance(path, RemotePath):
        return str(path)
    folder = os.path.abspath(path.parent)  # noqa: PTH100 - realpath below resolves what links there are
    return os.path.join(_real(folder), path.name)  # noqa: PTH118


def resolved(path: Path) -> str:
    """Where ``path`` leads to in the end: as ``canonical_path``, with its last part followed too."""
    place = canonical_path(path)
    if isinstance(path, RemotePath):
        return place
    return os.path.realpath(place) if os.path.islink(place) else place  # noqa: PTH114


def file_id(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None where there is no file, or the system does not number them."""
    if isinstance(path, RemotePath):
        return None
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)
