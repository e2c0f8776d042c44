"""The image tower: pictures to points of the shared space."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.siglip.config import SiglipConfig


class ImageTower(nn.Module):
    """A small convolutional net, level by level from stride 4 to 32.

    Own decision: every level is read by its channels' means and standard deviations over the picture, because a style
    is a matter of statistics, of fine texture as much as of what the deep levels see. Normalisation is per picture
    and never over the batch, so that a picture's place does not depend on its neighbours.
    """

    def __init__(self, config: SiglipConfig):
        super().__init__()
        widths = config.image_widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 4, 2, 1), nn.GELU(), nn.Conv2d(widths[0], widths[0], 2, 2)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(widths))
        self.levels = nn.ModuleList(
            nn.Sequential(*(_Block(w) for _ in range(n)))
            for w, n in zip(widths, config.image_blocks, strict=True)
        )
        self.norm = nn.LayerNorm(2 * sum(widths))
        self.project = nn.Linear(2 * sum(widths), config.width)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 -> (B, width), of unit length."""
        x = self.stem(images * 4 - 2)
        found = []
        for i, level in enumerate(self.levels):
            x = level(x if i == 0 else self.down[i - 1](x))
            flat = x.flatten(2)
            # The 1e-5 keeps the root's gradient finite where a channel is flat.
            found += [flat.mean(2), (flat.var(2, correction=0) + 1e-5).sqrt()]
        return F.normalize(self.project(self.norm(torch.cat(found, 1))), dim=1)


class _Block(nn.Module):
    """Residual: norm, 3x3 convolution, 1x1 convolution. Plain convolutions, for their gradient is quick on a CPU."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.spatial = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(F.gelu(self.spatial(self.norm(x))))
