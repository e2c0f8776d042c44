"""Structural similarity of pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops.luma import luma


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """SSIM (Wang et al. 2004) of pictures (B, 3, H, W) in 0..1, per picture (B,): luma, 11 x 11 Gaussian window."""
    x, y = luma(a), luma(b)
    g = torch.exp(-((torch.arange(11, device=a.device) - 5.0) ** 2) / 4.5)
    g = g / g.sum()

    def blur(z: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(z, g.view(1, 1, 11, 1)), g.view(1, 1, 1, 11))

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    score = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return score.mean((1, 2, 3))
