"""How much memory this process may take, and whether a file fits into it: before anything large is allocated."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from pathlib import Path

from stylecli.errors import OutOfMemoryError, UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)

# Bytes for each pixel of a file, from decoding to encoding: pixels, result, and what Pillow or OpenCV keep beside them.
_FILE_BYTES, _WIDE_FILE_BYTES = 14, 24
_SMALL = 1 << 20  # pixels: whether these fit will be seen
_PROGRAM = 400 << 20  # what the program takes by itself once torch and a network are loaded

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_UNLIMITED = 1 << 62

sharers = 1
"""Processes of one run that take from the same memory; each is content with its part of what is free."""


def parse_size(text: str) -> int:
    """``4G``, ``800M``, ``1.5 GiB`` or a number of bytes. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise UsageError(f"{text}: not an amount of memory; write it like 4G or 800M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def show_size(size: int) -> str:
    """``1.5 GB``, ``350 MB``."""
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{max(0, size) / (1 << 20):.0f} MB"


def free_memory(limit: int | None = None) -> int:
    """Bytes that this process may still take of main memory: of what is free, of what its control group and ``ulimit
    -v`` allow, and of ``limit`` for the whole process."""
    rooms = [room // sharers for room in (_system_free(), *_group_free())]
    if limit is not None:
        rooms.append(limit - process_memory())
    rooms.append(_address_space())
    return max(0, min(rooms))


def built_in_memory() -> int:
    """Bytes of main memory in this machine."""
    import psutil

    return int(psutil.virtual_memory().total)


def process_memory() -> int:
    """Bytes of main memory that this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def keep_freed() -> None:
    """Let the C library keep what tensors free, for the next ones. By default it goes back to the system at once, which
    clears every page when it is wanted again: a fifth of the time of a picture. Not where ``ulimit -v`` counts it."""
    if _address_space() < _UNLIMITED:
        return
    with suppress(OSError, AttributeError):  # another C library than GNU's
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, 256 << 20)
        mallopt(_TRIM_THRESHOLD, 512 << 20)


def give_back() -> None:
    """Return to the system what the C library keeps of freed memory: whoever comes next may be another library."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _system_free() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _group_free() -> list[int]:
    """What a container or a job's control group leaves, version 2 and version 1."""
    rooms = []
    for folder, most, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            texts = [(Path(folder) / name).read_text().strip() for name in (most, used)]
            cached = re.search(
                r"^inactive_file (\d+)", (Path(folder) / "memory.stat").read_text(), re.MULTILINE
            )
        except OSError:
            continue
        if texts[0].isdigit() and texts[1].isdigit():
            rooms.append(int(texts[0]) - int(texts[1]) + (int(cached[1]) if cached else 0))
    return rooms


def _address_space() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return _UNLIMITED
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return _UNLIMITED
    import psutil

    return most - int(psutil.Process().memory_info().vms)


def check_file(label: str, width: int, height: int, wide: bool, limit: int | None, more: int = 0) -> None:
    """Raise OutOfMemoryError if a picture of that size cannot be read, painted and written; ``wide``: of 16 bits;
    ``more``: bytes beyond the usual for each pixel."""
    needed = width * height * ((_WIDE_FILE_BYTES if wide else _FILE_BYTES) + more)
    room = free_memory(limit) - max(0, _PROGRAM - process_memory())
    if width * height > _SMALL and needed > room:
        raise OutOfMemoryError(
            f"{label}: {width} × {height} pixels need about {show_size(needed)} of memory, "
            f"{show_size(room)} may be used (see --memory-limit)"
        )
