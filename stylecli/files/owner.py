"""Who writes a file: a process, of which process numbers, on which machine; and whether it still runs."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def machine() -> str:
    """Of this running kernel: another host has another one, and so has this host once it was started anew."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except (OSError, ValueError):  # no Linux
        name = f"{platform.node()} {uuid.getnode()}"
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def namespace() -> str:
    """Of this process's numbers: in a container a number means another process than outside."""
    try:
        return f"{os.stat('/proc/self/ns/pid').st_ino:08x}"  # noqa: PTH116
    except OSError:
        return "00000000"


def runs(pid: int) -> bool:
    """Whether there is such a process in this namespace; True where that cannot be known."""
    if os.name == "nt":  # os.kill would really kill there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
