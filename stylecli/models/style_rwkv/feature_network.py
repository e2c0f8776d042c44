"""What a feature network would see in a style, read by a network small enough to be shipped.

Own decision. The style encoder's own statistics told two fifths of what VGG-16's deep layers tell paintings apart by
(a linear fit on unseen styles); what the decoder is not told it cannot paint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.layers import SLOPE, Conv3x3, StridedConv
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.ops.overridable import mean_std

SEEN = (256, 512)
"""Channels of VGG-16's relu3_3 and relu4_3."""
_LIMIT = 8.0  # spreads; a style farther out than any of training's
_UNIT = (
    1 / 16
)  # of a spread. Adam moves the weights of all 1,536 at once; the style code must not jump with them


class Residual(nn.Module):
    """x + conv(conv(x))."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = Conv3x3(channels, channels), Conv3x3(channels, channels)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x, before=SLOPE, after=SLOPE))


class StyleFeatureNetwork(nn.Module):
    """Style image to what VGG-16 sees in it, trained by ``stylize train style-reader``.

    ``mean`` and ``spread`` are those of the statistics over training's styles.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, config: StyleRwkvConfig):
        super().__init__()
        first, *widths = config.reader
        coarse, deep = config.reader_blocks
        self.halo = (
            -(-(10 + 8 * coarse + 16 * deep) // 8) * 8
        )  # pixels that a place of its maps sees on each side
        self.seen = 2 * sum(SEEN)
        self.stem = StridedConv(3, first, kernel=5)
        self.mid = Conv3x3(first, first)
        self.down = nn.ModuleList(StridedConv(i, o) for i, o in zip(config.reader[:-1], widths, strict=True))
        self.levels = nn.ModuleList(
            nn.Sequential(*(Residual(c) for _ in range(n)))
            for c, n in zip(widths, config.reader_blocks, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(c, seen, 1) for c, seen in zip(widths, SEEN, strict=True))
        self.register_buffer("mean", torch.zeros(self.seen))
        self.register_buffer("spread", torch.ones(self.seen))

    def features(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, H, W) in 0..1 to relu3_3 and relu4_3 as guessed, every channel in units of its root mean
        square over training's styles: (B, 256, H / 4, W / 4) and (B, 512, H / 8, W / 8)."""
        return self.maps(image)[2:]

    def maps(self, image: Tensor) -> list[Tensor]:
        """:meth:`features`, with the two maps of stride 2 before them: after the stem, and one convolution later."""
        x = F.leaky_relu(self.stem(image * 2 - 1), SLOPE)
        seen = [x]
        x = self.mid(x, after=SLOPE)
        seen.append(x)
        for down, blocks, head in zip(self.down, self.levels, self.heads, strict=True):
            x = blocks(down(x))
            seen.append(F.relu(head(F.leaky_relu(x, SLOPE))))
            x = F.leaky_relu(x, SLOPE)
        return seen

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W), H, W >= 16, to standardised channel means and deviations (B, seen), in sixteenths."""
        H, W = image.shape[2:]
        image = image[..., : H // 8 * 8, : W // 8 * 8].contiguous(memory_format=torch.channels_last)
        described = torch.cat([s for seen in self.features(image) for s in mean_std(seen)], 1).flatten(1)
        return ((described - self.mean) / self.spread).clamp(-_LIMIT, _LIMIT) * _UNIT
