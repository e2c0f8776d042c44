"""Mean and variance of every channel over a whole map: compiled where it can be, else plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import native, painting_cuda

EPS = 1e-5  # under the root of a standard deviation


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Over all places, in float32.

    Args:
        x: (B, C, H, W), in channels-last memory for speed.

    Returns:
        Mean and variance (division by H W): two (B, C, 1, 1).
    """
    if native.paints("moments", x):
        return _compiled(x)
    if (kernels := painting_cuda.kernels("moments", x)) is not None:
        return painting_cuda.moments(kernels, x, EPS)[:2]
    return plain_moments(x)


def mean_std(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel mean and standard deviation over the whole image, in float32: two (B, C, 1, 1)."""
    if (kernels := painting_cuda.kernels("moments", x)) is not None:
        mean, _, std = painting_cuda.moments(kernels, x, EPS)
        return mean, std
    mean, variance = moments(x)
    return mean, (variance + EPS).sqrt()


def _compiled(x: Tensor) -> tuple[Tensor, Tensor]:
    tokens = _tokens(x).contiguous()
    B, T, C = tokens.shape
    mean, variance = x.new_empty(2, B, C)
    native.call("moments", x.dtype, B, T, C, tokens, mean, variance)
    return mean[..., None, None], variance[..., None, None]


def plain_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """The same in plain torch."""
    tokens = _tokens(x).float()
    mean = tokens.mean(1)
    # In two passes: var_mean takes ten times as long on this layout.
    variance = (tokens - mean[:, None]).square().mean(1)
    return mean[..., None, None], variance[..., None, None]


def _tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C), a view in channels-last memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def moments_reference(x: Tensor) -> Tensor:
    """Mean and variance of (B, C, H, W), one after the other: (B, 2 C) in float64."""
    x = x.double().flatten(2)
    mean = x.mean(2)
    return torch.cat([mean, (x - mean[..., None]).square().mean(2)], 1)
