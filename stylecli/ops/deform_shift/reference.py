"""Deform-shift, written as its formula: four corners per token, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def deform_shift_reference(x: Tensor, offset: Tensor) -> Tensor:
    """Bilinear reading of a feature map at displaced positions, one displacement per token and channel group.

    ``y[b, i, j, g] = x[b, i + dy, j + dx, g]`` with (dy, dx) = offset[b, i, j, g], bilinear between the four
    tokens around that point; points outside the image are moved to its border.

    Args:
        x: (B, H, W, C); channels are split into G equal groups.
        offset: (B, H, W, G, 2) displacement (dy, dx) in tokens.

    Returns:
        (B, H, W, C) in float64.
    """
    x, offset = x.double(), offset.double()
    B, H, W, C = x.shape
    G = offset.shape[3]
    groups = x.view(B, H, W, G, C // G)
    rows = torch.arange(H, device=x.device, dtype=x.dtype)[:, None, None]
    cols = torch.arange(W, device=x.device, dtype=x.dtype)[None, :, None]
    y = (rows + offset[..., 0]).clamp(0, H - 1)  # (B, H, W, G)
    z = (cols + offset[..., 1]).clamp(0, W - 1)
    y0, z0 = y.detach().floor(), z.detach().floor()
    fy, fz = (y - y0)[..., None], (z - z0)[..., None]
    b = torch.arange(B, device=x.device)[:, None, None, None]
    g = torch.arange(G, device=x.device)

    def corner(dy: int, dz: int) -> Tensor:
        return groups[b, (y0.long() + dy).clamp(max=H - 1), (z0.long() + dz).clamp(max=W - 1), g]

    top = corner(0, 0) * (1 - fz) + corner(0, 1) * fz
    bottom = corner(1, 0) * (1 - fz) + corner(1, 1) * fz
    return (top * (1 - fy) + bottom * fy).reshape(B, H, W, C)
