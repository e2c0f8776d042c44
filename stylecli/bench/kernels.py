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


def seconds(run: Run, device: torch.device, budget: float = 0.5) -> float:
    """The fastest of several runs, as many as fit into ``budget`` seconds, at least two; the first is not counted."""
    run()
    best, spent, count = float("inf"), 0.0, 0
    while count < 2 or spent < budget:
        took = _seconds(run, device)
        best, spent, count = min(best, took), spent + took, count + 1
    return best


def _seconds(run: Run, device: torch.device) -> float:
    if device.type == "cpu":
        begun = time.perf_counter()
        run()
        return time.perf_counter() - begun
    begin, end = (torch.Event(device, enable_timing=True) for _ in range(2))
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


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


def measure(case: Case, copy: float) -> Row:
    """Time one case on the device of its tensors; ``copy`` is that device's ``copy_bandwidth``."""
    device = case.reads[0].device
    took = seconds(case.run, device)
    read = seconds(lambda: _read(case.reads), device)
    floor = _bytes(*case.reads, *case.writes)
    loop = None if case.loop_run is None else seconds(case.loop_run, device) * case.loop_scale / took
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
        torch_ratio=seconds(case.torch_run, device) / took,
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
