"""What a measurement says, whatever measured it: a table, the records behind it, pictures, and remarks.

Every table of ``stylize bench`` is a :class:`Section`; the terminal, Markdown, JSON and the HTML report show the same.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from stylecli.memory import built_in_memory

# Threads of the run before may still be spinning, in wait for more work, on the cores that the next one needs.
_SETTLE_S = 0.2

Run = Callable[[], object]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        name: of the measurement, such as "speed"; the same for all its tables.
        title: what the table shows, in one line.
        command: what makes it again.
        headings, rows: the table, as text.
        records: the numbers behind it, for programs; one mapping for each row.
        pictures: plots and sheets, each with a caption.
        remarks: sentences that belong under the table.
    """

    name: str
    title: str
    command: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    records: Sequence[Mapping[str, object]]
    pictures: tuple[tuple[str, Image.Image], ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        kept = list(values)
        return cls(statistics.median(kept), min(kept), max(kept))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}-{self.high:.3g})"


def ratio(these: Sequence[float], those: Sequence[float]) -> Spread:
    """Spread of ``these / those``, taken pair by pair: what slowed a whole round down cancels."""
    return Spread.of(a / b for a, b in zip(these, those, strict=True))


def take_turns(runs: Mapping[str, Run], repeats: int, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of every run, ``repeats`` times: one after the other, round by round, so that a busy moment meets
    all of them. ``warm``: all run once unmeasured before."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values() if warm else ():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            time.sleep(_SETTLE_S)
            begun = time.perf_counter()
            run()
            took[name].append(time.perf_counter() - begun)
    return took


def machine() -> dict[str, str]:
    """What the figures were measured on and with, and when."""
    import torch

    from stylecli import __version__
    from stylecli.devices import accelerators
    from stylecli.ops.proof import name_of
    from stylecli.weights import load_manifest

    bundled = [one for one in load_manifest().values() if any(file.bundled for file in one.files)]
    threads, memory = torch.get_num_threads(), built_in_memory()
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)} used",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "software": f"stylecli {__version__}, torch {torch.__version__}",
        "weights": ", ".join(f"{one.name} {one.version}" for one in bundled),
    }
    if accelerators():
        facts["graphics"] = ", ".join(map(name_of, accelerators()))
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
