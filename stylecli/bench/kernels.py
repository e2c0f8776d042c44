"""How fast the operators are here: time, bytes, bandwidth, and the same work done in other ways.

``floor`` counts what no implementation can avoid: inputs read once and results written once. Gradients read what the
forward pass kept as well. Bandwidth is the floor divided by the time, so what is moved twice counts against it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from stylecli.bench.section import Run, Section
from stylecli.ops.bi_wkv import bi_wkv, chunked
from stylecli.ops.catalog import OPERATORS
from stylecli.ops.conv3x3 import Prepared, conv3x3, enlarged_conv3x3
from stylecli.ops.conv3x3.op import plain, plain_enlarged
from stylecli.ops.deform_shift import deform_shift
from stylecli.ops.deform_shift.op import sampled, sampled_backward
from stylecli.ops.moments import moments
from stylecli.ops.selective_scan import selective_scan
from stylecli.ops.selective_scan.chunked import selective_scan_chunked, selective_scan_chunked_backward

LOOP_TOKENS = 512  # the Python loop is timed on so many tokens, and its time scaled to all of them


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


@dataclass(frozen=True)
class Case:
    """Work to be timed. ``reads`` and ``writes`` are the tensors that make up the floor."""

    op: str
    size: str
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    run: Run
    torch_run: Run
    loop_run: Run | None = None
    loop_scale: float = 1.0


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
        took = _cuda_seconds(run) if device.type == "cuda" else _cpu_seconds(run)
        best, spent, count = min(best, took), spent + took, count + 1
    return best


def _cpu_seconds(run: Run) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _cuda_seconds(run: Run) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()  # type: ignore[no-untyped-call]
    run()
    end.record()  # type: ignore[no-untyped-call]
    end.synchronize()  # type: ignore[no-untyped-call]
    return begin.elapsed_time(end) / 1e3  # type: ignore[no-untyped-call]


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


def cases(device: torch.device) -> Iterator[Case]:
    """The sizes that this project promises figures for."""
    for dtype in (torch.float32, torch.bfloat16):
        for T, C in ((16384, 256), (65536, 64), (262144, 128))[: 3 if device.type == "cuda" else 2]:
            yield from bi_wkv_cases(T, C, dtype, device)
        yield from selective_scan_cases(4096, 512, 16, dtype, device)
        for side, C in ((128, 48), (64, 80)):
            yield from deform_shift_cases(side, C, 4, dtype, device)
    if device.type == "cpu":  # float32 alone, and no gradients
        for side, C, D in ((64, 80, 80), (128, 48, 48)):
            yield _convolution("conv3x3", conv3x3, plain, side, C, D)
        for side, C, D in ((64, 80, 48), (128, 48, 24)):
            yield _convolution("enlarged_conv3x3", enlarged_conv3x3, plain_enlarged, side, C, D)
        x = _normal(device, torch.float32, 1, 64, 128, 128).to(memory_format=torch.channels_last)
        yield Case("moments", "128x128x64", (x,), moments(x), lambda: moments(x), lambda: _two_readings(x))


def _two_readings(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)


def _convolution(
    name: str,
    convolution: Callable[..., Tensor],
    in_torch: Callable[..., Tensor],
    side: int,
    C: int,
    D: int,
) -> Case:
    cpu = torch.device("cpu")
    x = _normal(cpu, torch.float32, 1, C, side, side).to(memory_format=torch.channels_last)
    weight, bias = _normal(cpu, torch.float32, D, C, 3, 3), torch.zeros(D)
    channels_last = weight.to(memory_format=torch.channels_last)
    prepared = Prepared()
    return Case(
        name,
        f"{side}x{side}x{C} to {D}",
        (weight, x),
        (convolution(x, weight, bias, prepared),),
        lambda: convolution(x, weight, bias, prepared),
        lambda: in_torch(x, channels_last, bias),
    )


def _normal(device: torch.device, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(device, dtype)


def _both_ways(
    case: Case,
    inputs: tuple[Tensor, ...],
    forward: Callable[[], Tensor],
    torch_backward: Callable[[Tensor], object],
) -> Iterator[Case]:
    """The case itself, and its gradients."""
    yield case
    leaves = [x.requires_grad_() for x in inputs]
    y = forward()
    grad = torch.ones_like(y)

    def backward() -> object:
        return torch.autograd.grad(y, leaves, grad, retain_graph=True)

    reads = (grad, *(x.detach() for x in case.reads))
    writes = tuple(x.detach() for x in leaves)
    yield Case(
        f"{case.op} gradients",
        case.size,
        reads,
        writes,
        backward,
        lambda: _quietly(lambda: torch_backward(grad)),
    )


def bi_wkv_cases(T: int, C: int, dtype: torch.dtype, device: torch.device) -> Iterator[Case]:
    """bi-WKV and its gradients on one sequence k, v (1, T, C)."""
    w, u = torch.linspace(0, 10, C, device=device), torch.zeros(C, device=device)
    k, v = (_normal(device, dtype, 1, T, C) for _ in range(2))
    short = min(T, LOOP_TOKENS)
    with torch.no_grad():
        kept = chunked.bi_wkv_chunked(w, u, k.float(), v.float())
    case = Case(
        "bi_wkv",
        f"{T}x{C}",
        (k, v),
        (v,),
        lambda: _quietly(lambda: bi_wkv(w, u, k, v)),
        lambda: _quietly(lambda: chunked.bi_wkv_chunked(w, u, k.float(), v.float())[0].to(dtype)),
        lambda: _quietly(lambda: _token_loop(w, u, k[:, :short].float(), v[:, :short].float())),
        T / short,
    )

    def torch_backward(grad: Tensor) -> object:
        return chunked.bi_wkv_chunked_backward(grad.float(), w, u, k.float(), v.float(), *kept)

    def forward() -> Tensor:
        return bi_wkv(w, u, k, v)

    yield from _both_ways(case, (k, v, w, u), forward, torch_backward)


def selective_scan_cases(L: int, D: int, N: int, dtype: torch.dtype, device: torch.device) -> Iterator[Case]:
    """Selective scan with softplus and its gradients on one sequence u, delta (1, L, D)."""
    u, delta = (_normal(device, dtype, 1, L, D) for _ in range(2))
    B, C = (_normal(device, torch.float32, 1, L, N) for _ in range(2))
    A = -torch.arange(1.0, N + 1, device=device).repeat(D, 1)
    skip, bias = torch.ones(D, device=device), torch.full((D,), -3.0, device=device)

    def forward() -> Tensor:
        return selective_scan(u, delta, A, B, C, skip, None, bias, True)

    def torch_run() -> Tensor:
        return selective_scan_chunked(u.float(), delta.float(), A, B, C, skip, None, bias, True).to(dtype)

    def torch_backward(grad: Tensor) -> object:
        inputs = (grad.float(), u.float(), delta.float(), A, B, C, skip, None, bias, True)
        return selective_scan_chunked_backward(*inputs)

    size, reads = f"{L}x{D}, N={N}", (B, C, u, delta)
    case = Case("selective_scan", size, reads, (u,), lambda: _quietly(forward), lambda: _quietly(torch_run))
    yield from _both_ways(case, (u, delta, A, B, C, skip, bias), forward, torch_backward)


def deform_shift_cases(side: int, C: int, G: int, dtype: torch.dtype, device: torch.device) -> Iterator[Case]:
    """Deform-shift and its gradients on one square map x (1, side, side, C), displaced by up to 2 tokens."""
    x = _normal(device, dtype, 1, side, side, C)
    offset = 2 * torch.tanh(_normal(device, dtype, 1, side, side, G, 2))

    def forward() -> Tensor:
        return deform_shift(x, offset)

    case = Case(
        "deform_shift",
        f"{side}x{side}x{C}, G={G}",
        (offset, x),
        (x,),
        lambda: _quietly(forward),
        lambda: _quietly(lambda: sampled(x, offset)),
    )
    yield from _both_ways(case, (x, offset), forward, lambda grad: sampled_backward(grad, x, offset))


def _quietly(run: Run) -> object:
    with torch.no_grad():
        return run()


def _token_loop(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """bi-WKV as one would first write it: both directions token by token."""
    T = k.shape[1]
    decay, self = torch.exp(-w / T), torch.exp(u)
    e = torch.exp(k - k.amax(1, keepdim=True))
    x = torch.stack([e * v, e])  # (2, B, T, C)
    total = x * self
    for order in (range(T), range(T - 1, -1, -1)):
        state = torch.zeros_like(x[:, :, 0])
        for t in order:
            total[:, :, t] += state
            state = decay * state + x[:, :, t]
    return total[0] / total[1]


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
