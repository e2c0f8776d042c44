"""StyleMamba (arXiv 2405.05027): the style-fusion module, latent and style in, latent out.

From the paper: a conditional selective state space model between the encoder and the decoder of a VAE aligns the
latent of the photograph with the prompt. Own decisions, where it is silent: the prompt is joined by a style vector, one
language with StyleRWKV's (see ``style_code.py``); three levels (strides 4, 8, 16 of the image) with a full skip
connection at stride 8 only, because with a finer one a network learns to recolour and nothing else; at stride 4 a few
normalised channels of outlines pass, or eyes and windows are lost; AdaIN from the style code before every block and in
the head; noise for flat places.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.layers import (
    SLOPE,
    AdaIn,
    Conv3x3,
    EnlargingConv,
    Noise,
    StridedConv,
    StyledConv3x3,
    StyledEnlargingConv,
    StyledResidual,
    normalised,
)
from stylecli.models.style_mamba import tiling  # noqa: F401  how it is painted in strips
from stylecli.models.style_mamba.blocks import ConditionalBlock
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.style_code import PromptCode, StyleCode
from stylecli.ops.overridable import materialize


class StyleMamba(nn.Module):
    """Latent (B, Z, h, w), any h and w, and style code (B, code) to a latent of the same size."""

    def __init__(self, config: StyleMambaConfig | None = None):
        super().__init__()
        self.config = config = config or StyleMambaConfig()
        (top, fine, coarse), experts = config.widths, config.experts
        self.code = StyleCode(config) if config.style else PromptCode(config.embedding, config.code)
        self.stem = Conv3x3(config.latent, top)
        self.down_fine = StridedConv(top, fine)
        self.enter = self._blocks(fine, config.blocks[0])
        self.down_coarse = StridedConv(fine, coarse)
        self.noise_coarse = Noise(coarse)
        self.middle = self._blocks(coarse, config.blocks[1])
        self.up_fine = EnlargingConv(coarse, fine)
        self.fuse = Conv3x3(2 * fine, fine)
        self.noise_fine = Noise(fine)
        self.leave = self._blocks(fine, config.blocks[2])
        self.texture_fine = nn.ModuleList(
            StyledResidual(fine, config.code, config.limit, experts) for _ in range(config.texture[0])
        )
        self.norm_fine = AdaIn(fine, config.code, config.limit)
        self.up_top = StyledEnlargingConv(fine, top, config.code, experts)
        self.noise_top = Noise(top)
        self.detail, self.fuse_top = Conv3x3(top, config.detail), Conv3x3(config.detail, top)
        self.norm_top = AdaIn(top, config.code, config.limit)
        self.texture_top = nn.ModuleList(
            StyledResidual(top, config.code, config.limit, experts) for _ in range(config.texture[1])
        )
        self.norm_out = AdaIn(top, config.code, config.limit)
        self.out = StyledConv3x3(top, config.latent, config.code, experts)
        for gain in (m.gain for m in self.modules() if isinstance(m, Noise | StyledResidual)):
            nn.init.constant_(gain, 0.2)  # from zero they hardly grow
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _blocks(self, channels: int, count: int) -> nn.ModuleList:
        return nn.ModuleList(ConditionalBlock(channels, self.config) for _ in range(count))

    @property
    def style_size(self) -> int:
        """How many numbers describe a style: those of its vector, then those of the prompt's embedding."""
        return self.config.style + self.config.embedding

    def style_code(self, style: Tensor) -> Tensor:
        """Style (B, style_size) to style code (B, code), see :class:`StyleCode`."""
        return self.code(style)  # type: ignore[no-any-return]

    def forward(self, latent: Tensor, code: Tensor, seed: int | None = 0) -> Tensor:
        """Latent (B, Z, h, w) and style code (B or 1, code) to the stylized latent (B, Z, h, w).

        ``seed`` decides the noise that strokes in flat places grow from; it is the same for the whole batch. None: see
        :class:`stylecli.models.layers.Noise`."""
        h, w = latent.shape[2:]
        seeds = (None, None, None) if seed is None else (seed, seed + 1, seed + 2)
        code = code.expand(latent.shape[0], -1)
        top = materialize(self.stem(self._pad(latent), after=SLOPE))
        fine = F.leaky_relu(self.down_fine(top), SLOPE)
        fine = materialize(self._through(self.enter, fine, code))
        x = self.noise_coarse(F.leaky_relu(self.down_coarse(fine), SLOPE), seeds[0])
        x = self._through(self.middle, x, code)
        x = self.up_fine(x, after=SLOPE)
        x = self.noise_fine(self.fuse(torch.cat([x, fine], 1), after=SLOPE), seeds[1])
        x = self._through(self.leave, x, code)
        for texture in self.texture_fine:
            x = texture(x, code)
        x = self.noise_top(self.up_top(self.norm_fine(x, code, after=SLOPE), code), seeds[2])
        x = self.fuse_top(normalised(self.detail(top), self.config.limit), added=x)
        x = self.norm_top(x, code, after=SLOPE)
        for texture in self.texture_top:
            x = texture(x, code)
        x = self.out(self.norm_out(x, code, after=SLOPE), code)
        return x[..., :h, :w]

    @staticmethod
    def _through(blocks: nn.ModuleList, x: Tensor, code: Tensor) -> Tensor:
        y = x.float()
        for block in blocks:
            y = block(y, code)
        return y.to(x.dtype)

    def _pad(self, x: Tensor) -> Tensor:
        """Extend bottom and right to a multiple of the deepest stride, by repeating the border."""
        h, w = x.shape[2:]
        s = self.config.stride
        x = F.pad(x, (0, -w % s, 0, -h % s), mode="replicate") if h % s or w % s else x
        return x.contiguous(memory_format=torch.channels_last)
