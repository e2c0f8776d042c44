"""Adaptive instance normalisation in one reading of the map: compiled where it can be, else plain torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import native, painting_cuda


def adain(
    x: Tensor,
    mean: Tensor,
    std: Tensor,
    gain: Tensor,
    offset: Tensor,
    limit: float | None = None,
    slope: float = 1.0,
) -> Tensor:
    """``leaky(gain * clamp((x - mean) / std, -limit, limit) + offset)``; AdaIN is arXiv 1703.06868, eq. 8.

    Args:
        x: (B, C, H, W), in channels-last memory for speed.
        mean, std, gain, offset: (B, C, 1, 1) in float32; std > 0.
        limit: in standard deviations; None is none. slope: of the leaky ReLU, 0..1; 1 is none.

    Returns:
        (B, C, H, W) in x's format.
    """
    parameters = (mean, std, gain, offset)
    if native.paints("adain", x, *parameters):
        return _compiled(x, parameters, math.inf if limit is None else limit, slope)
    if (kernels := painting_cuda.kernels("adain", x, *parameters)) is not None:
        return painting_cuda.adain(kernels, x, parameters, limit, slope)
    return plain(x, *parameters, limit, slope)


def plain(
    x: Tensor, mean: Tensor, std: Tensor, gain: Tensor, offset: Tensor, limit: float | None, slope: float
) -> Tensor:
    """The torch path of ``adain``."""
    if limit is None:
        scale = gain / std
        y = torch.addcmul((offset - mean * scale).to(x.dtype), x, scale.to(x.dtype))
    else:
        normal = torch.addcmul((-mean / std).to(x.dtype), x, (1 / std).to(x.dtype)).clamp(-limit, limit)
        y = torch.addcmul(offset.to(x.dtype), normal, gain.to(x.dtype))
    return y if slope == 1 else F.leaky_relu(y, slope)


def _compiled(x: Tensor, parameters: tuple[Tensor, ...], limit: float, slope: float) -> Tensor:
    tokens = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
    B, H, W, C = tokens.shape
    stored = [t.expand(B, C, 1, 1).contiguous() for t in parameters]
    out = torch.empty_like(tokens)
    native.call("adain", x.dtype, B, H * W, C, tokens, *stored, limit, slope, out)
    return out.permute(0, 3, 1, 2)


def adain_reference(x: Tensor, mean: Tensor, std: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """The formula without limit and slope, in float64."""
    x, mean, std, gain, offset = (t.double() for t in (x, mean, std, gain, offset))
    return gain * (x - mean) / std + offset
