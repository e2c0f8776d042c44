"""Calls of the CUDA kernels that are for painting alone: moments, adain, depthwise3x3, bordered and gates.

Each puts one launch (the moments: two) in the place of two to eight of torch's. In float32, float16 and bfloat16;
computed in float32. Maps are (B, C, H, W), in channels-last memory for speed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stylecli.ops import cuda, gradients

_THREADS = 256
_BLOCKS = 1024  # that a grid should have at least: they fill any card a few times
_MOST_ROWS = 65_535  # of a grid in its second and third dimension


def usable(operator: str, x: Tensor, *others: Tensor) -> bool:
    """Whether the operator's CUDA kernel takes a map and its parameters: of one card, of any float type but float64."""
    return _loaded(operator, x, *others) is not None


def kernels(operator: str, *tensors: Tensor) -> cuda.Kernels | None:
    """The kernels that compute these, where ``usable`` says so and nobody wants gradients; else None. None under
    autocast, where torch decides on types."""
    if not tensors[0].is_cuda or torch.is_autocast_enabled("cuda"):
        return None
    return None if gradients.wanted(*tensors) else _loaded(operator, *tensors)


def _loaded(operator: str, x: Tensor, *others: Tensor) -> cuda.Kernels | None:
    if not cuda.takes(x, *others) or max(len(x), x.shape[2] + 8) > _MOST_ROWS:
        return None
    defines = () if operator == "bordered" else (f"ONLY_{cuda.STORAGE[x.dtype]}",)
    return cuda.load(operator, x.device, *defines)


def _tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C), a view in channels-last memory."""
    return x.permute(0, 2, 3, 1)


class _Shares:
    """How threads share out tokens (B, H, W, C), as ``kernels/common/tokens.cuh`` says.

    Attributes:
        chunk: tokens of a block. chunks: of them for each picture.
        sizes: the arguments that such kernels begin with.
    """

    def __init__(self, tokens: Tensor, wide: bool, most_steps: int) -> None:
        B, H, W, C = tokens.shape
        T, items = H * W, C // (16 // tokens.element_size() if wide else 1)
        across = -(-items // _THREADS)
        columns = -(-items // across)
        rows = _THREADS // columns
        steps = min(max(1, B * T * across // (rows * _BLOCKS)), most_steps)
        self.chunk = rows * steps
        self.chunks = -(-T // self.chunk)
        self.grid = (self.chunks, across, B)
        self.sizes = (T, C, columns, steps)


def _way(wide: bool, x: Tensor) -> str:
    return f"{'wide' if wide else 'narrow'}_{cuda.STORAGE[x.dtype]}"


def moments(kernels: cuda.Kernels, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and sqrt(variance + eps) of every channel over its map: three (B, C, 1, 1) in float32."""
    tokens = _tokens(x).contiguous()
    B, H, W, C = tokens.shape
    wide = cuda.wide(C, tokens)
    shares = _Shares(tokens, wide, most_steps=64)
    partial = tokens.new_empty(B, shares.chunks, 2, C, dtype=torch.float32)
    results = tokens.new_empty(3, B, C, dtype=torch.float32)
    name = f"moments_partial_{_way(wide, x)}"
    kernels.launch(name, shares.grid, _THREADS, *shares.sizes, tokens, partial)
    sizes = (H * W, C, shares.chunks, shares.chunk)
    kernels.launch("moments_combine", (-(-C // 8), B, 1), _THREADS, *sizes, eps, partial, results)
    mean, variance, std = results[..., None, None].unbind()
    return mean, variance, std


def adain(
    kernels: cuda.Kernels, x: Tensor, parameters: tuple[Tensor, ...], limit: float | None, slope: float
) -> Tensor:
    """As :func:`stylecli.ops.adain.adain`; ``parameters``: its mean, std, gain and offset."""
    tokens = _tokens(x).contiguous()
    B, C = x.shape[:2]
    stored = [t.float().expand(B, C, 1, 1).contiguous() for t in parameters]  # (B, C, 1, 1) each
    out = torch.empty_like(tokens)
    wide = cuda.wide(C, tokens, *stored, out)
    shares = _Shares(tokens, wide, most_steps=16)
    limit = math.inf if limit is None else float(limit)
    sizes = (*shares.sizes, limit, float(slope))
    name = f"adain_{_way(wide, x)}"
    kernels.launch(name, shares.grid, _THREADS, *sizes, tokens, *stored, out)
    return out.permute(0, 3, 1, 2)


def depthwise3x3(kernels: cuda.Kernels, x: Tensor, weight: Tensor, bias: Tensor, activation: int) -> Tensor:
    """As :func:`stylecli.ops.depthwise3x3.depthwise3x3`; ``activation``: 0 none, 1 SiLU, 2 GELU."""
    tokens, apart = _strided(x)
    B, H, W, C = tokens.shape
    weight, bias = (t.to(x.dtype).contiguous() for t in (weight, bias))
    out = tokens.new_empty(tokens.shape)
    each = 4 * x.element_size()
    wide = all(n % 4 == 0 for n in (C, *apart)) and all(
        t.data_ptr() % each == 0 for t in (tokens, weight, bias, out)
    )
    items = C // 4 if wide else C
    run = min(max(2, B * H * W * items // (_THREADS * _BLOCKS // 2)), 16)
    grid = (-(-W * items // _THREADS), -(-H // run), B)
    sizes = (H, W, C, run, *apart, activation)
    name = f"depthwise3x3_{_way(wide, x)}"
    kernels.launch(name, grid, _THREADS, *sizes, tokens, weight, bias, out)
    return out.permute(0, 3, 1, 2)


def bordered(kernels: cuda.Kernels, x: Tensor, reflect: bool, width: int) -> Tensor:
    """As :func:`stylecli.ops.border.bordered`."""
    tokens, apart = _strided(x)
    B, H, W, C = tokens.shape
    out = tokens.new_empty(B, H + 2 * width, W + 2 * width, C)
    in_bytes = [n * x.element_size() for n in (C, *apart)]
    unit = math.gcd(16, tokens.data_ptr(), out.data_ptr(), *in_bytes)
    units, *apart_units = (n // unit for n in in_bytes)
    grid = (-(-out.shape[2] * units // _THREADS), out.shape[1], B)
    sizes = (H, W, units, width, int(reflect), *apart_units)
    kernels.launch(f"bordered_{unit}", grid, _THREADS, *sizes, tokens, out)
    return out.permute(0, 3, 1, 2)


def each_number(name: str, *inputs: Tensor, bound: float | None = None) -> Tensor | None:
    """As a function of :mod:`stylecli.ops.gates`; None where it is plain torch's to compute."""
    x = inputs[0]
    if (loaded := kernels("gates", *inputs)) is None:
        return None
    if not all(t.is_contiguous() and t.shape == x.shape and t.dtype == x.dtype for t in inputs):
        return None
    out = torch.empty_like(x)
    wide = cuda.wide(x.numel(), *inputs, out)
    blocks = -(-x.numel() // (_THREADS * (16 // x.element_size() if wide else 1)))
    arguments = () if bound is None else (float(bound),)
    loaded.launch(
        f"gates_{name}_{_way(wide, x)}", (blocks, 1, 1), _THREADS, x.numel(), *arguments, *inputs, out
    )
    return out


def _strided(x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """(B, C, H, W) to (B, H, W, C), whose channels lie side by side, and the distances of its other dimensions."""
    tokens = _tokens(x)
    tokens = tokens if tokens.stride(3) == 1 else tokens.contiguous()
    return tokens, tokens.stride()[:3]
