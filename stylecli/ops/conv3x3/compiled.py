"""Calls of the compiled 3 x 3 convolutions (``kernels/conv3x3``): float32 on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import native

# What F(4 x 4, 3 x 3) makes of the three weights along one axis (arXiv 1509.09308, section 4.3).
_G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


def winograd_weight(weight: Tensor) -> Tensor:
    """(D, C, 3, 3) to (36, .): of every point the columns in packs of 16, each (C, 16), at last perhaps (C, 8)."""
    G = torch.tensor(_G, dtype=torch.float64)
    points = torch.einsum("ak,dckl,bl->abcd", G, weight.double(), G).flatten(0, 1)  # (36, C, D)
    points = F.pad(points, (0, -points.shape[2] % 8)).float()
    return torch.cat([pack.flatten(1) for pack in points.split(16, 2)], 1)


def winograd(
    x: Tensor, weight: Tensor, bias: Tensor, before: float, after: float, added: Tensor | None
) -> Tensor:
    """(B, C, H, W) to (B, D, H, W); weight as ``winograd_weight`` makes it."""
    tokens = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
    more = None if added is None else added.permute(0, 2, 3, 1).contiguous()  # (B, H, W, D)
    D = bias.numel()
    out = x.new_empty(*tokens.shape[:3], D)
    sizes = (*tokens.shape, D)
    native.call("conv3x3_winograd", x.dtype, *sizes, tokens, weight, bias, before, after, more, out)
    return out.permute(0, 3, 1, 2)


def taps(weight: Tensor) -> Tensor:
    """(D, C, 3, 3) to (C, 9 D)."""
    return weight.permute(1, 2, 3, 0).flatten(1).contiguous()


def enlarged(x: Tensor, taps: Tensor, bias: Tensor, after: float) -> Tensor:
    """(B, C, H, W) to (B, D, 2 H, 2 W); taps: (C, 9 D)."""
    tokens = x.permute(0, 2, 3, 1)  # (B, H, W, C)
    B, H, W, C = tokens.shape
    D = bias.numel()
    products = tokens.reshape(-1, C) @ taps  # (B H W, 9 D)
    out = x.new_empty(B, 2 * H, 2 * W, D)
    native.call("conv3x3_enlarge", x.dtype, B, H, W, D, products, bias, after, out)
    return out.permute(0, 3, 1, 2)
