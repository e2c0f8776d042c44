"""How threads share the cores with what else runs here; settled before torch is loaded, by environment variables that
OpenMP reads then. What the user has set stays."""

from __future__ import annotations

import math
import os
from pathlib import Path

# (folder below /sys/fs/cgroup, file of the quota, file of the period or None where both stand in one)
_GROUPS = (("", "cpu.max", None), ("cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"))


def prepare(groups: Path = Path("/sys/fs/cgroup")) -> None:
    """Let threads that wait for one another sleep soon, and start no more of them than a container's share of cores.

    By default GNU's OpenMP lets them spin a hundred times as long as here, a hundredth of a second. Where another
    program takes a core, or a container may use fewer than it sees, the thread that is waited for is kept from its
    core by those that wait: a picture of 512 pixels took 35 to 47 s instead of 4 to 9.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # about a tenth of a millisecond
        os.environ.setdefault("KMP_BLOCKTIME", "1")  # milliseconds; Intel's and LLVM's OpenMP
    share = _share(groups)
    if share is not None and share < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(share))


def _share(groups: Path) -> int | None:
    """Cores that the control group of this process may use at a time, version 2 and 1; None where it has no limit."""
    for folder, quota, period in _GROUPS:
        try:
            words = (groups / folder / quota).read_text().split()
            if period is not None:
                words += (groups / folder / period).read_text().split()
            return max(1, math.ceil(int(words[0]) / int(words[1]))) if int(words[0]) > 0 else None
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue  # not of this version, or "max"
    return None


def cores() -> int:
    """That torch uses in this process, as far as is settled before it is loaded."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
