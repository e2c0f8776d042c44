"""A lock between processes: held by the operating system, so that it dies with its process."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_POLL_S = 0.05


@contextmanager
def locked(
    path: Path,
    timeout: float,
    *,
    watch: Callable[[], object] = lambda: None,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[bool]:
    """Hold the lock on the file ``path``, which is made and stays; gives whether it is held.

    It is not held after the time-out. Where the file system has no locks it counts as held.

    Args:
        timeout: seconds without a change of what ``watch()`` gives, so that whoever makes progress keeps the lock.
        waiting: called once if somebody else has it.
    """
    with path.open("ab") as file:  # not inherited by child processes: they must not hold it any longer
        held, said, seen, since = _try_lock(file), False, watch(), time.monotonic()
        while not held and time.monotonic() - since < timeout:
            if not said:
                waiting()
                said = True
            time.sleep(_POLL_S)
            now = watch()
            if now != seen:
                seen, since = now, time.monotonic()
            held = _try_lock(file)
        yield held


def _try_lock(file: IO[bytes]) -> bool:
    """True when the lock is held, or there is no such thing here. Closing the file releases it."""
    return try_lock(file) is not False


def try_lock(file: IO[bytes]) -> bool | None:
    """True when the lock is held now, until the file is closed; False when somebody else has it; None where the file
    system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK) else None
    return True
