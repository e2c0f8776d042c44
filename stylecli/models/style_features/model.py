"""A small network that sees in a picture what VGG-16 (arXiv 1409.1556) sees from relu1_2 to relu4_3.

Own decision. Gatys et al. (arXiv 1508.06576) describe a style by VGG-16's feature maps, whose weights are 30 MB and
whose licence is not ours to give; this one is learned from it (``stylize train style-features``) on photographs,
artworks and on pictures that it was led astray by, so that it can be a loss itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.layers import SLOPE, Conv3x3, StridedConv
from stylecli.models.style_features.config import StyleFeaturesConfig

SEEN = (64, 128, 256, 512)
"""Channels of VGG-16's relu1_2, relu2_2, relu3_3 and relu4_3."""


class Residual(nn.Module):
    """x + conv(lrelu(conv(lrelu(x)))), (B, C, H, W) to the same."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = Conv3x3(channels, channels), Conv3x3(channels, channels)
        self.conv2.weight.data.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x, before=SLOPE, after=SLOPE), added=x)


class StyleFeatures(nn.Module):
    """Image (B, 3, H, W) in 0..1, sRGB, to four maps (B, SEEN, H / stride, W / stride), strides 1, 2, 4 and 8.

    They stand for VGG-16's maps divided by one number each, the root mean square of the map over training's pictures.
    ``unit0`` to ``unit3``: the root mean square of every channel then, (SEEN,).
    """

    def __init__(self, config: StyleFeaturesConfig | None = None):
        super().__init__()
        self.config = config = config or StyleFeaturesConfig()
        first, *others = config.trunk
        self.stem, self.fine = Conv3x3(3, first), Conv3x3(first, first)
        self.down = nn.ModuleList(StridedConv(i, o) for i, o in zip(config.trunk[:-1], others, strict=True))
        self.levels = nn.ModuleList(
            nn.Sequential(*(Residual(c) for _ in range(n)))
            for c, n in zip(others, config.trunk_blocks, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(c, seen, 1) for c, seen in zip(config.trunk, SEEN, strict=True))
        for i, seen in enumerate(SEEN):
            self.register_buffer(f"unit{i}", torch.ones(seen))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def units(self) -> list[Tensor]:
        """Four of (1, SEEN, 1, 1)."""
        return [getattr(self, f"unit{i}").view(1, -1, 1, 1) for i in range(len(SEEN))]

    def forward(self, image: Tensor) -> list[Tensor]:
        return self._seen(image, self.units)

    def even(self, image: Tensor) -> list[Tensor]:
        """The same with all channels in units of their root mean square."""
        return self._seen(image, [None] * len(SEEN))

    def _seen(self, image: Tensor, units: Sequence[Tensor | None]) -> list[Tensor]:
        x = (image * 2 - 1).contiguous(memory_format=torch.channels_last)
        x = self.fine(self.stem(x, after=SLOPE), after=SLOPE)
        seen = [_head(self.heads[0], x, units[0])]
        for down, blocks, head, unit in zip(self.down, self.levels, self.heads[1:], units[1:], strict=True):
            x = F.leaky_relu(blocks(down(x)), SLOPE)
            seen.append(_head(head, x, unit))
        return seen


def _head(head: nn.Module, x: Tensor, unit: Tensor | None) -> Tensor:
    """A map; a unit is multiplied into the weights, which are few."""
    weight: Tensor = head.weight  # type: ignore[assignment]
    bias: Tensor = head.bias  # type: ignore[assignment]
    if unit is not None:
        weight, bias = weight * unit.view(-1, 1, 1, 1), bias * unit.flatten()
    return F.relu(F.conv2d(x, weight, bias))
