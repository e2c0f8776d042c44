"""StyleRWKV (arXiv 2412.19535): photograph and style statistics in, painted photograph out.

Read it top-down: ``StyleRwkv`` encodes a style to statistics once, and decodes every photograph with them.

From the paper: a 4-level encoder-decoder of ST-RWKV blocks, AdaIN with multi-scale features. Own decisions, where
it is silent: levels at strides 4, 8, 16, 32; AdaIN after every fusion and in the head; no skip connection finer than
stride 8 (with one at stride 4 the network learned to recolour and nothing else); AdaIN's targets are the style
features' own statistics plus a learned correction from a global style code, so that every site can choose what
it takes from the style; upsampling is bilinear followed by a convolution (no checkerboard); a little of the
photograph's detail shines through the painting, where the network wants it, because edges that strokes lose cost more
than they give; a style is painted a little beyond itself, as guidance does elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.kept import Kept
from stylecli.models.layers import (
    SLOPE,
    AdaIn,
    Noise,
    StridedConv,
    StyledConv3x3,
    StyledEnlargingConv,
    StyledResidual,
)
from stylecli.models.style_rwkv import tiling  # noqa: F401  how it is painted in strips
from stylecli.models.style_rwkv.blocks import StRwkvBlock
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.feature_network import StyleFeatureNetwork
from stylecli.ops.overridable import materialize, mean_std

_AREA = 16  # pixels
_SEEN = 4.0  # what the style feature network gives in sixteenths, beside the encoder's own numbers


class Encoder(nn.Module):
    """Image (B, 3, H, W) to four feature maps at strides 4, 8, 16, 32."""

    def __init__(self, config: StyleRwkvConfig, blocks: tuple[int, ...]):
        super().__init__()
        self.stem = StridedConv(3, config.stem, kernel=5)
        inputs = (config.stem, *config.widths[:-1])
        self.down = nn.ModuleList(StridedConv(i, o) for i, o in zip(inputs, config.widths, strict=True))
        self.levels = nn.ModuleList(
            nn.Sequential(*(StRwkvBlock(c, config) for _ in range(n)))
            for c, n in zip(config.widths, blocks, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        x = F.leaky_relu(self.stem(image * 2 - 1), SLOPE)
        features = []
        for down, blocks in zip(self.down, self.levels, strict=True):
            x = materialize(blocks(F.leaky_relu(down(x), SLOPE)))
            features.append(x)
        return features


class Decoder(nn.Module):
    """Content features from ``finest_skip`` on (used up on the way) and style statistics to a painting and, as its
    fourth channel, how much of the photograph's detail shines through: (B, 4, H, W) in 0..1."""

    def __init__(self, config: StyleRwkvConfig):
        super().__init__()
        widths, code, experts = config.widths, config.code, config.experts
        self.enter = nn.ModuleList(AdaIn(c, code) for c in widths)
        self.levels = nn.ModuleList(
            nn.Sequential(*(StRwkvBlock(c, config) for _ in range(n)))
            for c, n in zip(widths, config.decoder_blocks, strict=True)
        )
        self.texture = nn.ModuleList(
            nn.ModuleList(StyledResidual(c, code, experts=experts) for _ in range(n))
            for c, n in zip(widths, config.texture_convs, strict=True)
        )
        self.leave = nn.ModuleList(AdaIn(c, code) for c in widths)
        self.up = nn.ModuleList(
            StyledEnlargingConv(deep, c, code, experts)
            for deep, c in zip(widths[1:], widths[:-1], strict=True)
        )
        self.noise = nn.ModuleList(Noise(c) for c in (*widths, config.stem)) if config.noise else None
        self.finest_skip = config.finest_skip
        self.fuse = nn.ModuleDict(
            {
                str(i): StyledConv3x3(2 * widths[i], widths[i], code, experts)
                for i in range(config.finest_skip, len(widths) - 1)
            }
        )
        self.head_conv = StyledEnlargingConv(widths[0], config.stem, code, experts)
        self.head_norm = AdaIn(config.stem, code)
        self.head_mid = StyledConv3x3(config.stem, config.stem, code, experts)
        self.head_mid_norm = AdaIn(config.stem, code)
        self.head_narrow = StyledConv3x3(config.stem, 12, code, experts)
        self.head_out = StyledEnlargingConv(12, 4, code, experts)
        with torch.no_grad():  # begins undecided: half of what may shine through
            self.head_out.weight[3], self.head_out.bias[3] = 0, 0  # type: ignore[index]

    def forward(
        self, features: list[Tensor], statistics: list[Tensor], code: Tensor, seed: int | None
    ) -> Tensor:
        x = features.pop()
        for level in reversed(range(len(self.levels))):
            if level < len(self.levels) - 1:
                x = self.up[level](x, code, after=SLOPE)
                if level >= self.finest_skip:
                    x = self.fuse[str(level)](torch.cat([x, features.pop()], 1), code, after=SLOPE)
            if self.noise is not None:
                x = self.noise[level](x, seed)
            x = self.enter[level](x, code, statistics[level])
            x = self.levels[level](x)
            for texture in self.texture[level]:  # type: ignore[attr-defined]
                x = texture(x, code)
            x = self.leave[level](x, code, statistics[level])
        x = self.head_conv(x, code)  # stride 2
        if self.noise is not None:
            x = self.noise[-1](x, seed)
        x = self.head_norm(x, code, after=SLOPE)
        x = self.head_mid_norm(self.head_mid(x, code), code, after=SLOPE)
        x = self.head_narrow(x, code, after=SLOPE)
        return torch.sigmoid(self.head_out(x, code))


def inject_detail(painted: Tensor, photograph: Tensor, share: Tensor) -> Tensor:
    """A painting (B, 3, H, W) with a share (B, 1, H, W) of what its photograph has, and it has not, of detail: of all
    that is finer than about ten pixels. Colours and shades of areas stay the painting's. H, W: multiples of 16."""
    missing = photograph - painted
    areas = F.interpolate(F.avg_pool2d(missing, _AREA), scale_factor=_AREA, mode="bilinear")
    return torch.addcmul(painted, share, missing - areas).clamp(0, 1)


class StyleRwkv(nn.Module):
    """The whole network. Images are (B, 3, H, W) in 0..1, sRGB; sizes of content and style are independent.

    ``usual`` (S,) is the mean style of training (the name that it has in weights files).
    """

    usual: Tensor

    def __init__(self, config: StyleRwkvConfig | None = None):
        super().__init__()
        self.config = config = config or StyleRwkvConfig()
        self.content_encoder = Encoder(replace(config, skip=config.content_skip), config.content_blocks)
        self.style_encoder = Encoder(config, config.style_blocks)
        self.code = nn.Sequential(
            nn.Linear(2 * sum(config.widths), config.code),
            nn.LeakyReLU(0.2),
            nn.Linear(config.code, config.code),
            nn.LeakyReLU(0.2),
        )
        self.reader = StyleFeatureNetwork(config)
        self.read = nn.Linear(self.reader.seen, config.code, bias=False)
        nn.init.zeros_(self.read.weight)
        self.mapping = None
        if config.mapping:
            self.mapping = nn.Sequential(
                nn.Linear(self.style_size, config.mapping),
                nn.LeakyReLU(0.2),
                nn.Linear(config.mapping, config.code),
            )
            nn.init.zeros_(self.mapping[-1].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.mapping[-1].bias)  # type: ignore[arg-type]
        self.decoder = Decoder(config)
        self.register_buffer("usual", torch.zeros(self.style_size))
        self._guided, self._read = Kept(), Kept()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def style_size(self) -> int:
        """S, how many numbers describe a style."""
        return 2 * sum(self.config.widths) + self.reader.seen

    @property
    def vector_size(self) -> int:
        """How many of them are its style vector: all."""
        return self.style_size

    def encode_style(self, style: Tensor) -> Tensor:
        """Style image (B, 3, H, W), H, W >= 16, to its statistics (B, S): per level channel means, then log
        standard deviations, then what the style feature network sees. A weighted mean of such vectors is a blend."""
        statistics = [mean_std(f) for f in self.style_encoder(self._pad(style))]
        own = [torch.cat([m, s.log()], 1).flatten(1) for m, s in statistics]
        return torch.cat([*own, self.reader(style)], 1)

    def encode_code(self, style: Tensor) -> Tensor:
        """Statistics (B, S) to the style code (B, code) that modulates every AdaIN site."""
        own, seen = style.tensor_split([style.shape[1] - self.reader.seen], dim=1)
        code = self.code(own) + self.read(seen)
        return code if self.mapping is None else code + self.mapping(torch.cat([own, _SEEN * seen], 1))

    def guided(self, style: Tensor) -> Tensor:
        """Statistics (B, S) farther from the mean style's: what was learned from thousands of styles, a few looks at
        each, comes out too near to their mean. Training itself paints without."""
        return torch.lerp(self.usual, style, 1 + self.config.guidance)

    def paint(
        self, content: Tensor, style: Tensor, strength: float = 1.0, seed: int = 0, detail: float = 0.0
    ) -> Tensor:
        """``forward`` with a strength: how much of the painting (1) lies over the photograph (0).

        AdaIN's papers mix statistics instead (arXiv 1703.06868, eq. 15). That paints three times, and lies on the same
        curve of style against photograph (own decision; docs/quality.md)."""
        guided = self._guided.get(lambda: self.guided(style), (style,), (self.usual,))
        painted = self(content, guided, seed, detail)
        return painted if strength == 1 else torch.lerp(content, painted, strength)

    def forward(self, content: Tensor, style: Tensor, seed: int | None = 0, detail: float = 0.0) -> Tensor:
        """Paint content (B, 3, H, W), H, W >= 16, with style statistics (B or 1, S): (B, 3, H, W) in 0..1.

        ``seed`` decides the noise that strokes in flat places grow from; it is the same for the whole batch. None: as
        :class:`Noise` says. ``detail``: how much of the detail that the painting lacks then is given back, 0..1."""
        H, W = content.shape[2:]
        batch = content.shape[0]
        layers = (self.code, self.read, *(() if self.mapping is None else (self.mapping,)))
        weights = [p for layer in layers for p in layer.parameters()]
        code, statistics = self._read.get(lambda: self._of_style(style, batch), (style,), weights, batch)
        content = self._pad(content)
        features = self.content_encoder(content)[self.config.finest_skip :]
        painted, through = self.decoder(features, statistics, code, seed).split([3, 1], 1)
        share = through * (2 * self.config.detail_injection)
        if detail:
            share = share * (1 - detail) + detail
        return inject_detail(painted, content, share)[:, :, :H, :W]

    def _of_style(self, style: Tensor, batch: int) -> tuple[Tensor, list[Tensor]]:
        """The code (B, code) and, for each level, means and log standard deviations (B, 2 C) of a style (B or 1, S)."""
        *statistics, _ = style.expand(batch, -1).split(
            [*(2 * c for c in self.config.widths), self.reader.seen], dim=1
        )
        return self.encode_code(style).expand(batch, -1), statistics

    def _pad(self, x: Tensor) -> Tensor:
        """Extend bottom and right to a multiple of the deepest stride, by repeating the border."""
        H, W = x.shape[2:]
        s = self.config.stride
        x = F.pad(x, (0, -W % s, 0, -H % s), mode="replicate") if H % s or W % s else x
        return x.contiguous(memory_format=torch.channels_last)
