"""What the operators' benchmark times: each operator at the sizes of the networks, and the same work in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.bench.section import Run
from stylecli.ops.adain import adain
from stylecli.ops.adain import plain as plain_adain
from stylecli.ops.bi_wkv import bi_wkv, chunked
from stylecli.ops.conv3x3 import Prepared, conv3x3, enlarged_conv3x3
from stylecli.ops.conv3x3.op import plain, plain_enlarged
from stylecli.ops.deform_shift import deform_shift
from stylecli.ops.deform_shift.op import sampled, sampled_backward
from stylecli.ops.depthwise3x3 import depthwise3x3
from stylecli.ops.depthwise3x3 import plain as plain_depthwise
from stylecli.ops.enlarge import enlarge
from stylecli.ops.moments import moments, plain_moments
from stylecli.ops.selective_scan import selective_scan
from stylecli.ops.selective_scan.chunked import selective_scan_chunked, selective_scan_chunked_backward
from stylecli.ops.shrink import shrink
from stylecli.paint.photo import Photo
from stylecli.paint.size import enlarge_with_detail, packed_for_enlarging

LOOP_TOKENS = 512  # the Python loop is timed on so many tokens, and its time scaled to all of them


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


def cases(device: torch.device) -> Iterator[Case]:
    """The sizes that this project promises figures for."""
    for dtype in (torch.float32, torch.bfloat16):
        for T, C in ((16384, 256), (65536, 64), (262144, 128))[: 2 if device.type == "cpu" else 3]:
            yield from bi_wkv_cases(T, C, dtype, device)
        yield from selective_scan_cases(4096, 512, 16, dtype, device)
        for side, C in ((128, 48), (64, 80)):
            yield from deform_shift_cases(side, C, 4, dtype, device)
    if device.type == "cpu":
        yield from painting_cases(64, 80)
        yield from painting_cases(128, 48)
        yield from size_cases((3000, 4000), (512, 683))
        return
    for dtype in (torch.float32, torch.bfloat16):
        for side, C in ((128, 48), (1024, 24)):
            yield from one_reading_cases(side, C, dtype, device)


def painting_cases(side: int, C: int) -> Iterator[Case]:
    """What is for painting alone: float32 on the CPU, without gradients."""
    yield _convolution("conv3x3", conv3x3, plain, side, C, C)
    yield _convolution("enlarged_conv3x3", enlarged_conv3x3, plain_enlarged, side, C, C // 2)
    yield from one_reading_cases(side, C, torch.float32, torch.device("cpu"))


def one_reading_cases(side: int, C: int, dtype: torch.dtype, device: torch.device) -> Iterator[Case]:
    """What reads a map once where torch reads it several times; for painting alone."""
    x = _normal(device, dtype, 1, C, side, side).to(memory_format=torch.channels_last)
    size = f"{side}x{side}x{C}"
    weight, bias = (t.to(device, dtype) for t in (torch.ones(C, 1, 3, 3) / 9, torch.zeros(C)))
    mean, variance = moments(x)
    by = (mean, variance.sqrt(), variance, mean, 5.0, 0.2)
    yield Case("moments", size, (x,), (mean, variance), lambda: moments(x), lambda: plain_moments(x))
    yield Case("adain", size, (x,), (x,), lambda: adain(x, *by), lambda: plain_adain(x, *by))
    for activation in ("silu", "gelu"):
        yield Case(
            "depthwise3x3",
            f"{size}, {activation}",
            (weight, x),
            (x,),
            partial(depthwise3x3, x, weight, bias, activation),
            partial(plain_depthwise, x, weight, bias, activation),
        )


def size_cases(full: tuple[int, int], small: tuple[int, int]) -> Iterator[Case]:
    """A photograph of bytes on its way to the working size, and a painting on its way back; heights and widths."""
    photo = torch.randint(0, 256, (*full, 3), dtype=torch.uint8)
    from_to = [f"{size[1]}x{size[0]}" for size in (full, small)]

    def resized() -> Tensor:
        floats = photo.permute(2, 0, 1)[None].float().div_(255)
        return F.interpolate(floats, size=small, mode="bicubic", antialias=True).clamp_(0, 1)

    def at_full_size() -> Tensor:
        floats = photo.permute(2, 0, 1)[None].float().div_(255)
        return enlarge_with_detail(painted, Photo(content), floats, 0, full[0]).mul_(255).add_(0.5).byte()

    content = resized()
    painted = 1 - content
    map_, out = packed_for_enlarging(painted, Photo(content)), torch.empty_like(photo)
    size = " to ".join(from_to)
    yield Case("shrink", size, (photo, content), (content,), lambda: shrink(photo.numpy(), small), resized)
    yield Case(
        "enlarge",
        " to ".join(reversed(from_to)),
        (photo, map_),
        (out,),
        lambda: enlarge(map_, photo.numpy(), out.numpy()),
        at_full_size,
    )


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
        inputs = (u.float(), delta.float(), A, B, C, skip, None, bias, True)
        return selective_scan_chunked(*inputs).to(dtype)

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
