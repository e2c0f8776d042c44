"""The convolutions, written as their formula, in float64."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def conv3x3_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    before: float = 1.0,
    after: float = 1.0,
    added: Tensor | None = None,
) -> Tensor:
    """``y[p] = bias + sum over the nine d of weight[:, :, d] x[p + d]``; x goes on beyond its border as it is there.

    Args:
        x: (B, C, H, W). weight: (D, C, 3, 3). bias: (D,).
        before, after: slopes of leaky ReLUs of x and of the result. added: (B, D, H, W), added to y before the latter.

    Returns:
        (B, D, H, W) in float64.
    """
    padded = F.pad(F.leaky_relu(x.double(), before), (1, 1, 1, 1), mode="replicate")
    y = F.conv2d(padded, weight.double(), bias.double())
    return F.leaky_relu(y if added is None else y + added.double(), after)


def enlarged_conv3x3_reference(x: Tensor, weight: Tensor, bias: Tensor, after: float = 1.0) -> Tensor:
    """``conv3x3_reference`` of x after bilinear enlargement: (B, D, 2 H, 2 W) in float64."""
    large = F.interpolate(x.double(), scale_factor=2, mode="bilinear", align_corners=False)
    return conv3x3_reference(large, weight, bias, after=after)
