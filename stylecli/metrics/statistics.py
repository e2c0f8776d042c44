"""Statistics of feature maps (B, C, H, W): what style losses and style figures compare."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.models.layers import mean_std

_EPS = 1e-4


def statistics(features: Tensor) -> Tensor:
    """Channel means and standard deviations: (B, 2 C). AdaIN's description of a style (arXiv 1703.06868)."""
    return torch.cat(mean_std(features), 1).flatten(1)


def gram(features: Tensor) -> Tensor:
    """Mean product of every two channels: (B, C, C). Gatys et al.'s description of a style (arXiv 1508.06576)."""
    flat = features.float().flatten(2)  # (B, C, H W)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def instance_normalised(features: Tensor) -> Tensor:
    """(f - mean) / std per picture and channel: (B, C, H, W). StyTr2's content features (arXiv 2105.14576)."""
    mean, std = mean_std(features)
    return (features.float() - mean) / (std + _EPS)
