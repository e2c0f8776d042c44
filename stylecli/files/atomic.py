"""Files that are either complete or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TypeVar

from stylecli.errors import InputError
from stylecli.files import owner
from stylecli.files.lock import try_lock

_T = TypeVar("_T")

# Whose it is: the machine, the namespace of process numbers, the process.
_NAME = re.compile(
    r"\.stylize-(?P<machine>[0-9a-f]{8})-(?P<namespace>[0-9a-f]{8,})-(?P<pid>\d+)-[0-9a-f]{8}\.part"
)
_ABANDONED_AFTER = 24 * 3600.0  # seconds without a write: then whoever it was has gone
_YOUNG = 60.0  # seconds: a file may not have its lock yet
_PROBE = 4096  # bytes that must fit before anything is begun

_ours: set[Path] = set()  # temporaries that this process is writing now


class WriteError(InputError):
    """A file cannot be written, for ``reason``; ``no_room`` says that no other file on this disk can be either."""

    def __init__(self, target: object, reason: str, *, no_room: bool = False) -> None:
        super().__init__(f"{target}: cannot be written: {reason}")
        self.reason, self.no_room = reason, no_room


class TakenError(InputError):
    """A file is there by now that was not to be replaced."""


def is_temporary(path: Path) -> bool:
    """Whether this is the name of one of our half-written files."""
    return _NAME.fullmatch(path.name) is not None


def remove_stale_temporaries(folder: Path) -> int:
    """Delete the temporaries directly in ``folder`` whose writer is gone; returns how many.

    Those that may have a living writer stay: in another container on this machine, or on another machine that shares
    the folder. Never raises: what cannot be listed or deleted is left alone.
    """
    removed = 0
    with suppress(OSError):
        for path in list(folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is None:
                continue
            with suppress(OSError):
                if _is_stale(path, match):
                    path.unlink()
                    removed += 1
    return removed


def _is_stale(path: Path, name: re.Match[str]) -> bool:
    if path in _ours or path.absolute() in _ours:
        return False
    age = time.time() - path.stat().st_mtime
    if age > _ABANDONED_AFTER:
        return True
    if name["machine"] != owner.machine():
        return False
    pid = int(name["pid"])
    if name["namespace"] == owner.namespace():
        return pid == os.getpid() or not owner.runs(pid)  # in a container every run may have the same number
    with path.open("rb+") as file:  # a number from elsewhere says nothing; the writer's lock does
        return age > _YOUNG and try_lock(file) is True


@contextmanager
def atomic_path(target: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield an empty temporary file beside ``target`` that becomes ``target`` when the block ends well.

    Parent folders are made; the data is on disk before the name changes; a link is followed rather
    than replaced. When the block raises anything (``KeyboardInterrupt`` too) the temporary is deleted
    and an older ``target`` stays as it was. Raises ``WriteError`` when the place cannot be written, and ``TakenError``
    where ``replace`` is false and there is a ``target`` by the time that it is complete.
    """
    try:
        final = Path(os.path.realpath(target)) if target.is_symlink() else target
        if final.is_dir():
            raise WriteError(target, "it is a folder; give a file name")
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.absolute().with_name(_new_name())
        _ours.add(temporary)
        lock = temporary.open("xb")
        if os.name == "nt":  # an open file cannot be renamed there, nor one that is locked be written
            lock.close()
        else:
            try_lock(lock)
    except OSError as error:
        with suppress(UnboundLocalError):
            _ours.discard(temporary)
        raise write_error(target, error) from error
    try:
        try:
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            _rename(temporary, final, replace, target)
        except OSError as error:
            raise write_error(target, error) from error
    finally:
        lock.close()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _ours.discard(temporary)


@contextmanager
def atomic_file(target: Path, *, replace: bool = True) -> Iterator[CheckedFile]:
    """As ``atomic_path``, with a file to write to: for libraries that do not notice, or do not say, that a write failed
    (Pillow's encoders on a full disk, FFmpeg). Every byte is on disk, or this raises ``WriteError``."""
    # Unbuffered: FFmpeg opens the same file once more, by its name, to move the index to the front.
    with (
        atomic_path(target, replace=replace) as temporary,
        temporary.open("wb+", buffering=0) as raw,
    ):
        file = CheckedFile(raw)
        try:
            yield file
        except Exception:
            file.check()  # that is why
            raise
        file.check()


class CheckedFile:
    """A file for libraries to write to. A failed write is kept for ``check``, and what follows does nothing: some
    libraries cannot stop in the middle, and one tries for ever. It has no ``fileno``, so that none writes past it."""

    def __init__(self, file: FileIO) -> None:
        self.name = str(file.name)
        self._file = file
        self._end = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._error is not None:
            raise self._error
        size = os.fstat(self._file.fileno()).st_size
        if size < self._end:
            raise OSError(errno.EIO, f"{self._end:,} bytes were written and {size:,} are there")

    def write(self, data: bytes | bytearray | memoryview) -> int:
        left = memoryview(data).cast("B")
        length = len(left)
        while left and self._error is None:
            left = left[self._try(lambda piece=left: self._file.write(piece), 0) :]  # type: ignore[misc]
        self._end = max(self._end, self.tell())
        return length

    def read(self, count: int = -1) -> bytes:
        return self._try(lambda: self._file.read(count), b"")

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._try(lambda: self._file.seek(offset, whence), offset)

    def tell(self) -> int:
        return self._try(self._file.tell, 0)

    def truncate(self, size: int | None = None) -> int:
        result = self._try(lambda: self._file.truncate(size), 0)
        self._end = min(self._end, result)
        return result

    def flush(self) -> None:
        """Nothing waits in memory."""

    def seekable(self) -> bool:
        return True

    readable = writable = seekable

    def _try(self, call: Callable[[], _T], instead: _T) -> _T:
        if self._error is None:
            try:
                return call()
            except OSError as error:
                self._error = error
        return instead


def check_writable(targets: Sequence[Path]) -> dict[Path, WriteError]:
    """Those of ``targets`` that could not be written, and why: no permission, no room, a name that is too long.

    One error for all in a place where nothing can be written. Leaves nothing behind, not even the folders that are
    still to be made.
    """
    places: dict[Path, WriteError | None] = {}
    found: dict[Path, WriteError] = {}
    for target in targets:
        try:
            with suppress(FileNotFoundError):
                target.lstat()
        except OSError as error:
            found[target] = write_error(target, error)
            continue
        folder = _nearest(Path(os.path.realpath(target)).parent)
        if folder not in places:
            places[folder] = _problem(folder, target)
        problem = places[folder]
        if problem is not None:
            found[target] = problem
    return found


def disk_of(target: Path) -> int:
    """The number of the disk that ``target`` is, or would be, on; 0 where it cannot be told."""
    try:
        return _nearest(target.absolute()).stat().st_dev
    except OSError:
        return 0


def _nearest(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _problem(folder: Path, target: Path) -> WriteError | None:
    """What a small file says that is written to ``folder`` and removed again."""
    path = folder / _new_name()
    _ours.add(path)
    try:
        with path.open("xb", buffering=0) as file:
            left = _PROBE
            while left:
                left -= file.write(b"\0" * left) or 0
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno != errno.EFBIG:  # a small one may fit below `ulimit -f`
            return write_error(target, error)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _ours.discard(path)
    return None


def _new_name() -> str:
    return f".stylize-{owner.machine()}-{owner.namespace()}-{os.getpid()}-{secrets.token_hex(4)}.part"


def _rename(temporary: Path, final: Path, replace: bool, target: Path) -> None:
    if not replace:
        taken = TakenError(f"{target}: was written by somebody else meanwhile, and stays as it is")
        try:
            os.link(temporary, final)  # unlike a rename it never replaces
            return
        except FileExistsError:
            raise taken from None
        except OSError:  # a file system without links
            if os.path.lexists(final):
                raise taken from None
    temporary.replace(final)


def write_error(target: Path | str, error: OSError) -> WriteError:
    """One line for a failed write: the target, and what the system said, in plain words."""
    words = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "larger than a file may be here (ulimit -f)",
        errno.EACCES: "no permission to write here",
        errno.EPERM: "no permission to write here",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "part of the path is a file, not a folder",
        errno.EEXIST: "part of the path is a file, not a folder",
        errno.ENAMETOOLONG: "the name is too long",
        errno.EPIPE: "the reader of the output has gone",
        errno.EBADF: "it is closed",
    }
    reason = words.get(error.errno or 0) or error.strerror or " ".join(str(error).split()) or "unknown error"
    return WriteError(target, reason, no_room=error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))
