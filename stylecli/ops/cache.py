"""Where compiled kernels are kept, so that each is compiled once: for the CPU and for CUDA alike.

A file's name holds a hash of everything it was made from and a hash of its own bytes, so that a damaged or foreign
file is never loaded. It is made in a folder of its own and renamed when complete. An operating-system lock, which
dies with its process, keeps two processes from doing the same work twice; nothing breaks where it does not hold.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from stylecli.files.cache import cache_dir, digest_of
from stylecli.files.lock import locked

log = logging.getLogger(__name__)

T = TypeVar("T")

LOCK_TIMEOUT_S = 60.0  # then build without the lock: somebody else's builder hangs
_MODE = 0o600  # whatever the umask: a file that everybody may write to is not trusted later
_ROOM = 32 << 20  # bytes; a compiler's output and its intermediate files fit well into this
_OURS = re.compile(
    r"proof-[0-9a-f]{16}\.json|[\w-]+-[0-9a-f]{16}-[0-9a-f]{16}\.\w+|[\w-]+\.(lock|log)|part-\w+"
)


class BuildError(Exception):
    """A kernel cannot be had here; ``str(error)`` is one line that says why, ``log`` all that a compiler said."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


def folder() -> Path:
    """The folder of compiled kernels; it need not exist."""
    return cache_dir() / "kernels"


def cached(
    name: str,
    key_parts: Iterable[str | bytes],
    produce: Callable[[Path], None],
    load: Callable[[Path], T],
    *,
    notice: str,
) -> T:
    """Load a compiled file from the cache, making it first if need be.

    Where the cache cannot be written, the file is made in a private temporary folder, for this process alone.

    Args:
        name: file name, such as ``cpu.so``; the hash goes between its stem and its suffix.
        key_parts: everything that decides what the file holds, such as sources, compiler, flags and processor.
        produce: writes the file to the given path. May leave other files beside it: the folder is removed.
            Raises BuildError where that fails and OSError where the folder is to blame.
        load: what is wanted of the file; it may be gone once this returns. Raises OSError for an unusable file.
        notice: what to tell the user before producing: "compiling kernels for this CPU, a few seconds".

    Raises:
        BuildError: from ``produce``, or because no folder serves.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    key = hashlib.sha256(b"\0".join(p.encode() if isinstance(p, str) else p for p in key_parts)).hexdigest()[
        :16
    ]
    shared = folder()
    try:
        _check_private(shared, make=True)
        found = _load_first(shared, stem, key, suffix, load)
        if found is not None:
            return found[0]
        with locked(shared / f"{stem}.lock", LOCK_TIMEOUT_S):
            found = _load_first(shared, stem, key, suffix, load)  # the other one has finished meanwhile
            if found is not None:
                return found[0]
            if shutil.disk_usage(shared).free < _ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            log.info("%s, once", notice)
            with tempfile.TemporaryDirectory(prefix="part-", dir=shared) as work:
                part = Path(work) / name
                produce(part)
                part.chmod(_MODE)
                target = shared / f"{stem}-{key}-{digest_of(part)[:16]}{suffix}"
                part.replace(target)
            _sweep(shared)
            return load(target)
    except OSError as error:
        reason = error.strerror or str(error)
        log.warning(
            "%s, in every run: %s cannot be used (%s), STYLIZE_CACHE names another", notice, shared, reason
        )
    try:
        # Made with mode 0700 under a name that nobody can foresee.
        with tempfile.TemporaryDirectory(prefix="stylecli-kernels-", ignore_cleanup_errors=True) as work:
            part = Path(work) / name
            produce(part)
            return load(part)
    except OSError as error:
        raise BuildError(f"no folder for them: {error.strerror or error}") from error


def keep_log(name: str, text: str) -> Path | None:
    """Write a failed build's messages beside the kernels, or into the temporary folder; None where neither works."""
    try:
        path = folder() / name
        _check_private(path.parent, make=True)
        path.write_text(text, encoding="utf-8", errors="replace")
        return path
    except OSError:
        pass
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="stylecli-", suffix=f"-{name}", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)
        return Path(file.name)
    except OSError:
        return None


def read_private(path: Path) -> str:
    """Read a text that we kept. Raises OSError, also where it may be another user's work."""
    _check_private(path.parent)
    _check_private(path)
    return path.read_text(encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Keep a text in the cache folder; readers find the old one or the new one. Raises OSError."""
    _check_private(path.parent, make=True)
    with tempfile.TemporaryDirectory(prefix="part-", dir=path.parent) as work:
        part = Path(work) / path.name
        part.write_text(text, encoding="utf-8")
        part.chmod(_MODE)
        part.replace(path)


def contents() -> list[Path]:
    """Everything that we made in the cache folder."""
    try:
        return sorted(path for path in folder().iterdir() if _OURS.fullmatch(path.name))
    except OSError:
        return []


def clean() -> int:
    """Remove what we made; the number of files removed. Raises OSError for one that cannot be removed."""
    found = contents()
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder().rmdir()  # only if it is empty now
    return len(found)


def _check_private(path: Path, *, make: bool = False) -> None:
    """Raise OSError where ``path`` may be another user's work: what is loaded from it runs as this user."""
    if make:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":
        return
    status = path.stat()
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, "it belongs to another user")
    if status.st_mode & stat.S_IWOTH:
        raise PermissionError(errno.EPERM, "everybody may write to it")


def _load_first(folder: Path, stem: str, key: str, suffix: str, load: Callable[[Path], T]) -> tuple[T] | None:
    """Load the first whole file of this key; damaged ones are removed."""
    for path in sorted(folder.glob(f"{stem}-{key}-*{suffix}")):
        try:
            _check_private(path)
            if digest_of(path)[:16] == path.stem.rpartition("-")[2]:
                return (load(path),)
            log.debug("%s is damaged", path)
        except OSError as error:
            log.debug("%s: %s", path, error)
        with suppress(OSError):
            path.unlink()
    return None


def _sweep(folder: Path) -> None:
    """Remove what killed builders left an hour ago or longer."""
    for path in folder.glob("part-*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 3600:
                shutil.rmtree(path, ignore_errors=True)
