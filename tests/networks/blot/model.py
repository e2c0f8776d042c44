"""Mixes a photograph with the mean colour of a style."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn


class Blot(nn.Module):
    """Images are (B, 3, H, W) in 0..1."""

    style_size = 3

    def __init__(self, config: str):
        super().__init__()
        self.share = nn.Parameter(torch.tensor(float(json.loads(config)["blot_share"])))

    def encode_style(self, style: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 3)."""
        return style.mean((2, 3))

    def paint(self, content: Tensor, style: Tensor, strength: float = 1.0, seed: int = 0) -> Tensor:
        return torch.lerp(content, style[..., None, None].expand_as(content), self.share * strength)
