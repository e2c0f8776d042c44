"""Files that are either complete or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stylecli.errors import InputError

_NAME = re.compile(r"\.stylize-(?P<pid>\d+)-[0-9a-f]{8}\.part")
_ABANDONED_AFTER = 24 * 3600.0  # seconds without a write: covers process numbers that were used again

_ours: set[Path] = set()  # temporaries that this process is writing now


def is_temporary(path: Path) -> bool:
    """Whether this is the name of one of our half-written files."""
    return _NAME.fullmatch(path.name) is not None


def remove_stale_temporaries(folder: Path) -> int:
    """Delete the temporaries directly in ``folder`` whose writer is gone; returns how many.

    Those of living processes stay. Never raises: what cannot be listed or deleted is left alone.
    """
    removed = 0
    with suppress(OSError):
        for path in list(folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is None:
                continue
            with suppress(OSError):
                if _is_stale(path, int(match["pid"])):
                    path.unlink()
                    removed += 1
    return removed


def _is_stale(path: Path, pid: int) -> bool:
    if path in _ours or path.absolute() in _ours:
        return False
    if pid == os.getpid():  # in a container every run may have the same number
        return True
    if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
        return True
    if os.name == "nt":  # os.kill would really kill there
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside ``target`` that becomes ``target`` when the block ends well.

    Parent folders are made; the data is on disk before the name changes; a link is followed rather
    than replaced. When the block raises anything (``KeyboardInterrupt`` too) the temporary is deleted
    and an older ``target`` stays as it was. Raises ``InputError`` when the place cannot be written.
    """
    try:
        final = Path(os.path.realpath(target)) if target.is_symlink() else target
        if final.is_dir():
            raise InputError(f"{target}: is a folder; give a file name to write to")
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.absolute().with_name(f".stylize-{os.getpid()}-{secrets.token_hex(4)}.part")
        _ours.add(temporary)
        temporary.open("xb").close()
    except OSError as error:
        with suppress(UnboundLocalError):
            _ours.discard(temporary)
        raise write_error(target, error) from error
    try:
        try:
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.replace(final)
        except OSError as error:
            raise write_error(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _ours.discard(temporary)


def write_error(target: Path | str, error: OSError) -> InputError:
    """One line for a failed write: the target, and what the system said, in plain words."""
    words = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "no permission to write here",
        errno.EPERM: "no permission to write here",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "part of the path is a file, not a folder",
        errno.EEXIST: "part of the path is a file, not a folder",
        errno.ENAMETOOLONG: "the name is too long",
        errno.EPIPE: "the reader of the output has gone",
    }
    reason = words.get(error.errno or 0) or error.strerror or " ".join(str(error).split()) or "unknown error"
    return InputError(f"{target}: cannot be written: {reason}")
