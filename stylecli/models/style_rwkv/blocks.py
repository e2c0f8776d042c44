"""The ST-RWKV block (StyleRWKV, arXiv 2412.19535): spatial mix with Re-WKV, then channel mix.

Feature maps are (B, C, H, W) in channels-last memory, so that the (B, H, W, C) view that token-wise layers use
costs nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stylecli.models.kept import Kept
from stylecli.models.layers import Conv3x3, DepthwiseConv
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.ops.bi_wkv import bi_wkv
from stylecli.ops.deform_shift import deform_shift
from stylecli.ops.overridable import bounded, gated, materialize, overridable, squared_relu
from stylecli.ops.skip_scan import skip_scan_order


def to_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def to_map(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)


@overridable
def read_displaced(tokens: Tensor, offset: Tensor, bound: float) -> Tensor:
    """Tokens (B, H, W, C) read at displacements (B, H, W, G, 2) of at most ``bound`` tokens."""
    return deform_shift(tokens, offset)


@overridable
def wkv_of_map(w: Tensor, u: Tensor, k: Tensor, v: Tensor, skip: int, columns: bool) -> Tensor:
    """bi-WKV of keys and values (B, H, W, C) in the order of S-Scanning, along rows or columns: (B, H, W, C)."""
    H, W = k.shape[1:3]
    ordered_parallel_map = skip == 1 and not columns
    order = None if ordered_parallel_map else skip_scan_order(H, W, skip, columns, k.device)
    return bi_wkv(w, u, k.flatten(1, 2), v.flatten(1, 2), order).unflatten(1, (H, W))


class DeformShift(nn.Module):
    """Deform-Shifting: learned offsets move the sampling grid of the token-shift convolution.

    The paper publishes no formula. Ours (own decision): each of G channel groups is read at p + d(p), with d
    predicted from the token's 3 x 3 neighbourhood and bounded by tanh, and a depthwise 3 x 3 convolution mixes
    what was read. At initialisation the groups look one token up, down, left and right, which is the Q-shift
    of Vision-RWKV. The map goes on beyond its border as it is there: with zeros around it most tokens of a training
    crop, and few of a photograph's, would see the border, and a dark band grows along it.
    """

    def __init__(self, channels: int, config: StyleRwkvConfig):
        super().__init__()
        self.groups, self.bound = config.shift_groups, config.max_offset
        self.offset = Conv3x3(channels, 2 * self.groups)
        self.conv = DepthwiseConv(channels, "none")
        self.mix = nn.Parameter(torch.full((channels,), 0.5))
        nn.init.zeros_(self.offset.weight)
        directions = torch.tensor([(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)]).repeat(self.groups, 1)
        start = directions[: self.groups].flatten() * min(1.0, self.bound / 2) / self.bound
        self.offset.bias.data.copy_(torch.atanh(start))  # type: ignore[union-attr]
        nn.init.dirac_(self.conv.weight, groups=channels)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        tokens = to_tokens(x)  # (B, H, W, C)
        offset = bounded(to_tokens(self.offset(x)), self.bound)  # (B, H, W, 2 G)
        moved = read_displaced(tokens, offset.unflatten(-1, (self.groups, 2)), self.bound)
        mixed = to_tokens(self.conv(to_map(moved)))  # (B, H, W, C)
        dtype = tokens.dtype  # autocast leaves these three apart
        return torch.lerp(tokens, mixed.to(dtype), self.mix.to(dtype))


class SpatialMix(nn.Module):
    """Token mixing: deform-shift, then Re-WKV: bi-WKV applied q times with the original K and V = the last result.

    The sequence follows S-Scanning with stride p; odd recurrences scan columns instead of rows, as in
    Restore-RWKV (arXiv 2407.11087).
    """

    def __init__(self, channels: int, config: StyleRwkvConfig):
        super().__init__()
        self.skip, self.rescans = config.skip, config.rescans
        self.shift = DeformShift(channels, config)
        self.receptance = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.output = nn.Linear(channels, channels, bias=False)
        # Decays spread over three orders of magnitude; divided by T inside bi_wkv, they are relative to the image.
        spread = torch.logspace(math.log10(0.5), math.log10(60.0), channels)
        self.decay = nn.Parameter(spread.repeat(config.rescans, 1))
        self.bonus = nn.Parameter(torch.zeros(config.rescans, channels))
        self._kept = Kept()

    def _bounded(self) -> tuple[Tensor, Tensor]:
        """Decay and bonus (rescans, C), so that the denominator stays inside float32, as which bi_wkv reads them."""
        dtype = torch.promote_types(self.decay.dtype, torch.float32)
        return self.decay.clamp(-60, 60).to(dtype), self.bonus.clamp(-60, 60).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        s = self.shift(x)  # (B, H, W, C)
        r, k, v = self.receptance(s), self.key(s), self.value(s)
        decay, bonus = self._kept.get(self._bounded, (), (self.decay, self.bonus))
        for j in range(self.rescans):
            v = wkv_of_map(decay[j], bonus[j], k, v, self.skip, j % 2 == 1)
        return self.output(gated(r, v))


class ChannelMix(nn.Module):
    """Squared-ReLU feed-forward with a sigmoid receptance gate, after a deform-shift."""

    def __init__(self, channels: int, config: StyleRwkvConfig):
        super().__init__()
        hidden = config.mix_ratio * channels
        self.shift = DeformShift(channels, config)
        self.key = nn.Linear(channels, hidden, bias=False)
        self.value = nn.Linear(hidden, channels, bias=False)
        self.receptance = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        s = self.shift(x)  # (B, H, W, C)
        return gated(self.receptance(s), self.value(squared_relu(self.key(s))))


class TokenNorm(nn.LayerNorm):
    """Layer normalisation over channels of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return to_map(super().forward(to_tokens(x)))


class StRwkvBlock(nn.Module):
    """x + spatial_mix(norm(x)), then x + channel_mix(norm(x)); (B, C, H, W) to the same."""

    def __init__(self, channels: int, config: StyleRwkvConfig):
        super().__init__()
        self.norm1, self.norm2 = TokenNorm(channels), TokenNorm(channels)
        self.spatial_mix = SpatialMix(channels, config)
        self.channel_mix = ChannelMix(channels, config)

    def forward(self, x: Tensor) -> Tensor:
        x = materialize(x)
        x = x + to_map(self.spatial_mix(self.norm1(x)))
        return x + to_map(self.channel_mix(self.norm2(x)))
