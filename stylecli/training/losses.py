"""Losses of painting networks: StyleRWKV's (arXiv 2412.19535 names content, style, identity 1 and 2), and those of
texture.

All feature losses are scale-free: features are instance-normalised or standardised first, so that every layer
counts alike and the weights mean the same whatever network gives the features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.metrics.lattice import lattice
from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.paint.guidance import total_variation

_EPS = 1e-4
_PERIODS = (4, 8, 16)  # pixels: tokens of the three finest levels
_FAR = 5.0  # spreads; nearly half of what paintings lack of their style lies beyond two of them


def content_loss(output: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of instance-normalised features (B, C, H, W): 0 = same structure, 2 = unrelated."""
    return F.mse_loss(instance_normalised(output), content.float())


def style_loss(output: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Distance of channel means and standard deviations, each divided by its spread over many styles.

    AdaIN's style loss (arXiv 1703.06868, eq. 13), standardised per dimension, half of the squared distance up to
    five spreads and linear beyond (Huber), so that rarely active channels do not rule.

    Args:
        output: (B, C, H, W) features. target: (B, 2 C) statistics wanted. scale: (2 C,) their spread.

    Returns:
        (B,), one number for every picture.
    """
    difference = (statistics(output) - target.float()) / scale
    return F.huber_loss(difference, torch.zeros_like(difference), reduction="none", delta=_FAR).mean(1)


def feature_difference(output: Tensor, content: Tensor) -> Tensor:
    """|output - content|^2 / |content|^2 of features (N, C, H, W), per image (N,): 0 = the same, 1 = nothing left.

    One layer of the paper's second identity loss; relative, so that every layer counts alike."""
    squared = (output.float() - content.float()).square().mean((1, 2, 3))
    return squared / (content.float().square().mean((1, 2, 3)) + _EPS)


def lattice_loss(image: Tensor) -> Tensor:
    """How much of the fine detail of pictures (B, 3, H, W) repeats every 4, 8 or 16 pixels, beyond noise: (B,).

    A sum over the periods of which eight fit in; nearly flat pictures count little."""
    periods = [p for p in _PERIODS if 8 * p <= min(image.shape[2:])]
    shares = torch.stack([lattice(image, p, 1e-5) for p in periods])  # (periods, B)
    return (shares - 1 / 64).clamp(min=0).sum(0)


def pixel_terms(output: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Mean absolute difference of pictures (B, 3, H, W), and of their differences to neighbours (sharp edges)."""
    difference = output - wanted
    return {"absolute": difference.abs().mean(), "edges": total_variation(difference)}
