"""Statistics of feature maps (B, C, H, W): what style losses and style figures compare."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.models.layers import mean_std
from stylecli.models.texture import gram, instance_normalised

__all__ = ["gram", "instance_normalised", "statistics"]


def statistics(features: Tensor) -> Tensor:
    """Channel means and standard deviations: (B, 2 C). AdaIN's description of a style (arXiv 1703.06868)."""
    return torch.cat(mean_std(features), 1).flatten(1)
