"""All operators that may have a compiled path, each with its yardstick: what ``status`` and ``test`` go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stylecli.ops import border, gates, native, painting_cuda
from stylecli.ops.adain import adain, adain_reference
from stylecli.ops.bi_wkv import bi_wkv, bi_wkv_reference
from stylecli.ops.bi_wkv import cuda as bi_wkv_cuda
from stylecli.ops.conv3x3 import (
    Prepared,
    conv3x3,
    conv3x3_reference,
    enlarged_conv3x3,
    enlarged_conv3x3_reference,
)
from stylecli.ops.deform_shift import cuda as deform_shift_cuda
from stylecli.ops.deform_shift import deform_shift, deform_shift_reference
from stylecli.ops.depthwise3x3 import depthwise3x3, depthwise3x3_reference
from stylecli.ops.enlarge import enlarge_reference, enlarged
from stylecli.ops.moments import EPS, mean_std, moments, moments_reference
from stylecli.ops.selective_scan import cuda as selective_scan_cuda
from stylecli.ops.selective_scan import of_map, selective_scan, selective_scan_reference
from stylecli.ops.shrink import shrink_reference, shrunk

# How far from the fp64 reference a result in this type may be, as relative RMS: forward, and the worst gradient.
# Inputs are rounded to the type before either sees them, so this is the rounding of results and of states.
LIMITS = {
    torch.float32: (1e-5, 1e-4),
    torch.bfloat16: (1e-2, 4e-2),
    torch.float16: (2e-3, 8e-3),
}


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        function: what the networks call; chooses its path by itself. Differentiable, returns one tensor.
        reference: the same in float64, written as its formula.
        example: inputs in float64 on the CPU for a length; drawn from the generator.
        usable: for each device type with a compiled path, whether that path takes these tensors.
        learns: whether gradients have a compiled path, too.
        extremes: each makes awkward inputs of ordinary ones; forward alone.
    """

    name: str
    function: Callable[..., Tensor]
    reference: Callable[..., Tensor]
    example: Callable[[int, torch.Generator], tuple[Tensor, ...]]
    usable: Mapping[str, Callable[..., bool]]
    learns: bool = True
    extremes: tuple[Callable[..., tuple[Tensor, ...]], ...] = ()

    def is_compiled(self, *tensors: Tensor) -> bool:
        """Whether a compiled kernel computes these inputs; builds it if need be."""
        usable = self.usable.get(tensors[0].device.type)
        return usable is not None and usable(*tensors)


def _bi_wkv_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    B, T, C = 2, length, 20
    w = torch.rand(C, generator=random, dtype=torch.float64) * 20
    u = torch.randn(C, generator=random, dtype=torch.float64)
    k, v = torch.randn(2, B, T, C, generator=random, dtype=torch.float64)
    return w, u, 3 * k, v


_WKV_EXTREMES = (
    lambda w, u, k, v: (w, u, 30 * k, v),  # keys of 90 and beyond
    lambda w, u, k, v: (0 * w, u, k, v),  # no decay
    lambda w, u, k, v: (0 * w - 60, 0 * u + 20, k, v),  # growing fast; a token sees itself alone
    lambda w, u, k, v: (60 + w, 0 * u - 20, k, v),
)


def _deform_shift_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    B, H, W, C, G = 2, max(2, length // 16), 16, 20, 4
    x = torch.randn(B, H, W, C, generator=random, dtype=torch.float64)
    whole = torch.randint(-3, 3, (B, H, W, G, 2), generator=random)
    # Never close to a whole token, where the gradient jumps and rounding decides on which side one is.
    part = 0.2 + 0.6 * torch.rand(whole.shape, generator=random, dtype=torch.float64)
    return x, whole + part


_SHIFT_EXTREMES = (
    lambda x, offset: (x, 50 * offset),  # far outside
    lambda x, offset: (x[..., :16], offset[..., :1, :]),  # groups that are whole vectors, ...
    lambda x, offset: (x[..., :8], offset[..., :2, :]),  # ... and halves
)


def _selective_scan_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    batch, L, D, N = 2, length, 20, 16
    u, delta, z = torch.randn(3, batch, L, D, generator=random, dtype=torch.float64)
    B, C = torch.randn(2, batch, L, N, generator=random, dtype=torch.float64)
    A = -torch.arange(1, N + 1, dtype=torch.float64).repeat(D, 1)
    skip, bias = torch.randn(2, D, generator=random, dtype=torch.float64)
    # Step sizes as a network has them after its softplus, about 0.01 to 0.1; z is its gate.
    return u, torch.nn.functional.softplus(delta - 3), A, B, C, skip, z, 0.01 * bias.abs()


_SCAN_EXTREMES = (
    lambda u, delta, A, *more: (u, 100 * delta, A, *more),  # everything before is forgotten
    lambda u, delta, A, *more: (u, 0 * delta, 0 * A, *more),  # nothing is
)


def _scan_of_map_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    B, H, W, D, N, rank = 2, -(-length // 11), 11, 20, 16, 3
    draw = partial(torch.randn, generator=random, dtype=torch.float64)
    u, gate = draw(2, B, H, W, 4 * D)
    decay = -torch.arange(1, N + 1, dtype=torch.float64).repeat(4, D, 1)
    dt_B_C = draw(B, H, W, 4 * (rank + 2 * N))
    return u, gate, dt_B_C, 0.3 * draw(4, rank, D), draw(4, D) - 4, decay, draw(4, D)


def _conv3x3_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    B, C, D, H, W = 2, 36, 20, length, 9
    x = torch.randn(B, C, H, W, generator=random, dtype=torch.float64)
    weight = torch.randn(D, C, 3, 3, generator=random, dtype=torch.float64) / (9 * C) ** 0.5
    return x, weight, torch.randn(D, generator=random, dtype=torch.float64)


def _with_its_weights(convolution: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """As when stylizing, where weights are frozen, if there are no gradients to be had."""

    def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return convolution(x, weight if torch.is_grad_enabled() else weight.detach(), bias, Prepared())

    return run


def _moments_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    return (3 + torch.randn(2, 20, length, 9, generator=random, dtype=torch.float64),)


def _adain_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    x = 3 + torch.randn(2, 20, length, 9, generator=random, dtype=torch.float64)
    mean, std, gain, offset = torch.randn(4, 2, 20, 1, 1, generator=random, dtype=torch.float64)
    return x, 3 + mean, 0.5 + std.abs(), gain, offset


def _enlarge_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    small = torch.rand(length, 9, 8, generator=random, dtype=torch.float64)
    return small, torch.rand(5 * length, 50, 3, generator=random, dtype=torch.float64)


_ENLARGE_EXTREMES = (
    lambda small, photo: (4 * small - 2, photo),  # much to be held within 0..1
    lambda small, photo: (small[:1, :1], photo[:3, :2]),  # a single place
    lambda small, photo: (small, photo[: len(small), :9]),  # of the same size
)


def _shrink_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    return (torch.rand(2 * length, 50, 3, generator=random, dtype=torch.float64),)


_SHRINK_EXTREMES = (
    lambda photo: (photo.round(),),  # black and white alone: weights below 0 lead out of 0..1
    lambda photo: (photo[:1, :3],),  # a single row, which becomes several
)


def _depthwise3x3_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    x = torch.randn(2, 20, length, 9, generator=random, dtype=torch.float64)
    weight = torch.randn(20, 1, 3, 3, generator=random, dtype=torch.float64) / 3
    return x, weight, torch.randn(20, generator=random, dtype=torch.float64)


_CONV_EXTREMES = (
    lambda x, weight, bias: (1e4 * x, weight, bias),
    lambda x, weight, bias: (x[:, :, :1, :1].contiguous(), weight, bias),  # a single pixel
)
_MAP_EXTREMES = (
    lambda x, *more: (1e3 * x, *more),
    lambda *maps: tuple(
        x[:16] if x.dim() < 4 or x.shape[1] == 1 else x[:, :16] for x in maps
    ),  # whole vectors
    lambda x, *more: (x[:, :, :1, :1].contiguous(), *more),
)


def _moments(x: Tensor) -> Tensor:
    return torch.cat([*moments(x), *mean_std(x)], 1).flatten(1)


def _moments_reference(x: Tensor) -> Tensor:
    mean, variance = moments_reference(x).chunk(2, 1)
    return torch.cat([mean, variance, mean, (variance + EPS).sqrt()], 1)


def _bordered(x: Tensor, border: Callable[..., Tensor] = border.bordered) -> Tensor:
    return torch.cat([border(x).flatten(), border(x, reflect=True).flatten(), border(x, width=2).flatten()])


def _bordered_reference(x: Tensor) -> Tensor:
    return _bordered(x.double(), border.plain)


def _gates(gate: Tensor, x: Tensor) -> Tensor:
    return torch.stack([gates.gated(gate, x), gates.squared_relu(x), gates.bounded(x, 2.5)])


def _gates_reference(gate: Tensor, x: Tensor) -> Tensor:
    gate, x = gate.double(), x.double()
    return torch.stack([torch.sigmoid(gate) * x, x.clamp(min=0).square(), 2.5 * torch.tanh(x)])


def _gates_example(length: int, random: torch.Generator) -> tuple[Tensor, ...]:
    gate, x = 3 * torch.randn(2, 1, length, 9, 5, generator=random, dtype=torch.float64)
    return gate, x


def _usable(name: str, cuda: Callable[..., bool]) -> dict[str, Callable[..., bool]]:
    return {"cpu": partial(native.usable, name), "cuda": cuda}


def _for_painting(
    name: str,
    function: Callable[..., Tensor],
    reference: Callable[..., Tensor],
    example: Callable[[int, torch.Generator], tuple[Tensor, ...]],
    *extremes: Callable[..., tuple[Tensor, ...]],
    on: tuple[str, ...] = ("cpu",),
) -> Operator:
    """One that has kernels for painting alone, ``on`` these types of devices."""
    known = {"cpu": partial(native.takes_float32, name), "cuda": partial(painting_cuda.usable, name)}
    usable = {kind: known[kind] for kind in on}
    return Operator(name, function, reference, example, usable, False, extremes)


_BOTH = ("cpu", "cuda")

OPERATORS = (
    Operator(
        "bi_wkv",
        bi_wkv,
        bi_wkv_reference,
        _bi_wkv_example,
        _usable("bi_wkv", bi_wkv_cuda.usable),
        extremes=_WKV_EXTREMES,
    ),
    Operator(
        "selective_scan",
        selective_scan,
        selective_scan_reference,
        _selective_scan_example,
        _usable("selective_scan", selective_scan_cuda.usable),
        extremes=_SCAN_EXTREMES,
    ),
    Operator(
        "deform_shift",
        deform_shift,
        deform_shift_reference,
        _deform_shift_example,
        _usable("deform_shift", deform_shift_cuda.usable),
        extremes=_SHIFT_EXTREMES,
    ),
    _for_painting(
        "scan_of_map", of_map.gated_scan_of_map, of_map.gated_scan_of_map_reference, _scan_of_map_example
    ),
    _for_painting(
        "conv3x3", _with_its_weights(conv3x3), conv3x3_reference, _conv3x3_example, *_CONV_EXTREMES
    ),
    _for_painting(
        "enlarged_conv3x3",
        _with_its_weights(enlarged_conv3x3),
        enlarged_conv3x3_reference,
        _conv3x3_example,
        *_CONV_EXTREMES,
    ),
    _for_painting("adain", adain, adain_reference, _adain_example, *_MAP_EXTREMES, on=_BOTH),
    _for_painting(
        "depthwise3x3",
        depthwise3x3,
        depthwise3x3_reference,
        _depthwise3x3_example,
        *_MAP_EXTREMES,
        on=_BOTH,
    ),
    _for_painting("enlarge", enlarged, enlarge_reference, _enlarge_example, *_ENLARGE_EXTREMES),
    _for_painting(
        "shrink",
        partial(shrunk, height=7, width=5),
        partial(shrink_reference, height=7, width=5),
        _shrink_example,
        *_SHRINK_EXTREMES,
    ),
    _for_painting("moments", _moments, _moments_reference, _moments_example, *_MAP_EXTREMES[:2], on=_BOTH),
    _for_painting(
        "bordered", _bordered, _bordered_reference, _moments_example, _MAP_EXTREMES[1], on=("cuda",)
    ),
    _for_painting(
        "gates",
        _gates,
        _gates_reference,
        _gates_example,
        lambda gate, x: (30 * gate[:, :16, :8], 10 * x[:, :16, :8]),  # whole vectors
        on=("cuda",),
    ),
)


def dtypes(device: str) -> tuple[torch.dtype, ...]:
    """The number formats that networks run in on this device."""
    common = (torch.float32, torch.bfloat16)
    return common if device == "cpu" else (*common, torch.float16)
