"""A claim on a file that takes long to make: two runs do not make it at the same time.

A hidden file beside it holds who claims it, and the operating system's lock, which dies with its process. Where the
lock of another machine may not be seen (network drives without locks), a claim counts as long as its file is touched.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from stylecli.errors import InputError
from stylecli.files import owner
from stylecli.files.atomic import write_error
from stylecli.files.lock import try_lock

_TOUCH_S = 20.0
_FRESH_S = 120.0  # without a touch: then its owner has gone
_LONGEST = 200  # bytes of a name; file systems take 255


class ClaimedError(InputError):
    """Another run is at it."""


@contextmanager
def claimed(target: Path) -> Iterator[None]:
    """Hold ``target`` until the block ends. Raises ClaimedError, WriteError."""
    path = _claim_of(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _take(path, target)
    except OSError as error:
        raise write_error(target, error) from error
    done = threading.Event()
    touching = threading.Thread(target=_touch, args=(path, done), daemon=True, name="claim")
    try:
        touching.start()
        yield
    finally:
        done.set()
        touching.join()
        if os.name == "nt":  # an open file cannot be removed there
            file.close()
        with suppress(OSError):
            path.unlink()  # while it is locked: whoever waits for it takes a new one
        file.close()


def is_claimed(target: Path) -> bool:
    """Whether a run is making ``target`` at this moment."""
    path = _claim_of(target)
    with suppress(OSError), path.open("rb+") as file:
        locked = try_lock(file)
        return locked is False or _lives(_read(file), path, locked)
    return False


def _claim_of(target: Path) -> Path:
    final = Path(os.path.realpath(target)) if target.is_symlink() else target
    name = os.fsencode(final.name)[:_LONGEST].decode("utf-8", "ignore")
    return final.absolute().with_name(f".{name}.stylize-lock")


def _take(path: Path, target: Path) -> IO[bytes]:
    while True:
        file = path.open("ab+")
        try:
            locked, by = try_lock(file), _read(file)
            if locked is False or _lives(by, path, locked):
                raise ClaimedError(f"{target}: another run is writing this ({_named(by, path, locked)})")
            if os.path.lexists(path) and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                file.truncate(0)
                file.write(json.dumps(_me()).encode())
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its owner removed it between our opening and locking it


def _me() -> dict[str, Any]:
    return {
        "machine": owner.machine(),
        "namespace": owner.namespace(),
        "process": os.getpid(),
        "host": platform.node(),
    }


def _read(file: IO[bytes]) -> dict[str, Any]:
    """Who claims it; empty where that is not known."""
    try:
        file.seek(0)
        found = json.loads(file.read(4096))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lives(by: dict[str, Any], path: Path, locked: bool | None) -> bool:
    """Whether the one who claims ``path`` still runs, although its lock could be had (``locked``) or there are none."""
    if not by:
        return False
    if by.get("machine") == owner.machine():
        if locked:  # one kernel keeps all these locks: this one would be held
            return False
        if by.get("namespace") == owner.namespace():
            pid = by.get("process")
            return isinstance(pid, int) and owner.runs(pid)
    return _age(path) < _FRESH_S


def _age(path: Path) -> float:
    """Seconds since ``path`` was touched, by the clock of whoever keeps the files."""
    with tempfile.TemporaryFile(dir=path.parent) as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime


def _named(by: dict[str, Any], path: Path, locked: bool | None) -> str:
    who = f"process {by.get('process', '?')} on {by.get('host', '?')}"
    return who if locked is False else f"{who}; if it has ended, remove {path}"


def _touch(path: Path, done: threading.Event) -> None:
    while not done.wait(_TOUCH_S):
        with suppress(OSError):
            os.utime(path)
