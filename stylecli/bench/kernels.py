"""How fast the operators are here: time, bytes, bandwidth, and the same work done in other ways.

``floor`` counts what no implementation can avoid: inputs read once and results written once. Gradients read what the
forward pass kept as well. Bandwidth is the floor divided by the time, so what is moved twice counts against it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from stylecli.bench.kernel_cases import Case, cases
from stylecli.bench.section import Run, Section
from stylecli.ops.catalog import OPERATORS

_CACHE = 256 << 20  # bytes: more than the cache of any card


@dataclass(frozen=True)
class Row:
    """One operator, size and number format. Times in seconds, bandwidths in bytes a second."""

    op: str
    size: str
    dtype: str
    path: str  # "compiled" or "torch": what the operator chose
    seconds: float
    ns_per_element: float  # of the result
    floor_bytes: int
    bandwidth: float
    copy_share: float  # bandwidth / that of a copy
    read_ratio: float  # time / time of reading the inputs once
    torch_ratio: float  # time of the torch path / time
    loop_ratio: float | None  # time of a Python loop over tokens / time; extrapolated


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute on ``count`` CPU threads; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(run: Run, device: torch.device, budget: float | None = None) -> float:
    """The fastest of several runs, as many as fit into ``budget`` seconds, at least two; the first is not counted.

    On a card it is the time of the card alone, with nothing of the inputs in its cache.
    """
    budget = budget if budget is not None else 0.5 if device.type == "cpu" else 0.15
    clock = _seconds if device.type == "cpu" else _Card(device).seconds
    run()
    best, count, begun = float("inf"), 0, time.perf_counter()
    while count < 2 or time.perf_counter() - begun < budget:
        best, count = min(best, clock(run)), count + 1
    return best


def _seconds(run: Run) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


class _Card:
    """A clock for what runs on a card."""

    def __init__(self, device: torch.device):
        self._begin, self._end = (torch.Event(device, enable_timing=True) for _ in range(2))
        self._other = torch.empty(_CACHE, dtype=torch.uint8, device=device)

    def seconds(self, run: Run) -> float:
        # Fills the cache with something else. Eight times: that keeps the card busy until the processor, which may
        # take longer to ask for the work than the card to do it, has asked for all of it.
        for _ in range(8):
            self._other.zero_()
        self._begin.record()
        run()
        self._end.record()
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / 1e3


def copy_bandwidth(device: torch.device, mebibytes: int = 64) -> float:
    """Bytes a second, read and written, of a plain copy that no cache holds."""
    source = torch.zeros(mebibytes << 18, device=device)
    target = torch.empty_like(source)
    return 2 * _bytes(source) / seconds(lambda: target.copy_(source), device)


def _bytes(*tensors: Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _read(tensors: Iterable[Tensor]) -> None:
    for t in tensors:
        # As float32 whatever they hold: adding up bfloat16 is slower than reading it.
        t.flatten()[: t.numel() // 2 * 2].view(torch.float32).sum()


def measure(case: Case, copy: float, budget: float | None = None) -> Row:
    """Time one case on the device of its tensors; ``copy`` is that device's ``copy_bandwidth``, ``budget`` as in
    :func:`seconds`, for each of up to four times."""
    device = case.reads[0].device

    def timed(run: Run) -> float:
        return seconds(run, device, budget)

    took = timed(case.run)
    read = timed(lambda: _read(case.reads))
    floor = _bytes(*case.reads, *case.writes)
    loop = None if case.loop_run is None else timed(case.loop_run) * case.loop_scale / took
    return Row(
        op=case.op,
        size=case.size,
        dtype=str(case.reads[-1].dtype).removeprefix("torch."),
        path="compiled" if _is_compiled(case.op, device, case.reads[-1].dtype) else "torch",
        seconds=took,
        ns_per_element=took * 1e9 / case.writes[0].numel(),
        floor_bytes=floor,
        bandwidth=floor / took,
        copy_share=floor / took / copy,
        read_ratio=took / read,
        torch_ratio=timed(case.torch_run) / took,
        loop_ratio=loop,
    )


def _is_compiled(name: str, device: torch.device, dtype: torch.dtype) -> bool:
    op = next(op for op in OPERATORS if name.split()[0] == op.name)
    return op.is_compiled(*(x.to(device, dtype) for x in op.example(3, torch.Generator().manual_seed(0))))


def run(device: torch.device, count: int | None = None) -> Iterator[Row]:
    """Measure everything on ``count`` CPU threads, row by row."""
    with threads(count):
        copy = copy_bandwidth(device)
        for case in cases(device):
            yield measure(case, copy)


HEADINGS = (
    "operator",
    "size",
    "dtype",
    "path",
    "ms",
    "ns each",
    "GB/s",
    "of copy",
    "x read",
    "vs torch",
    "vs loop",
)


def section(rows: Iterable[Row]) -> Section:
    """The rows as a table."""
    kept = list(rows)
    return Section(
        "kernels",
        "Operators",
        "stylize bench kernels",
        HEADINGS,
        [_cells(row) for row in kept],
        [asdict(row) for row in kept],
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.op,
        row.size,
        row.dtype,
        row.path,
        f"{row.seconds * 1e3:.2f}",
        f"{row.ns_per_element:.2f}",
        f"{row.bandwidth / 1e9:.2f}",
        f"{row.copy_share:.0%}",
        f"{row.read_ratio:.1f}",
        f"{row.torch_ratio:.1f}",
        "" if row.loop_ratio is None else f"{row.loop_ratio:.0f}",
    )
