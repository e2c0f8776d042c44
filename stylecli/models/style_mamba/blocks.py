"""The conditional Mamba block: a selective scan whose every choice depends on the prompt, then a channel mix.

StyleMamba (arXiv 2405.05027) publishes no formula for its conditional Mamba. Our reading (own decisions): the style
code is added to the projections that give step sizes, B and C (what a state keeps and what it tells depends on the
prompt), and it sets the mean and the standard deviation of every normalisation (AdaIN, arXiv 1703.06868).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stylecli.models.layers import AdaIn, DepthwiseConv
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.ops.overridable import materialize, overridable
from stylecli.ops.selective_scan import of_map
from stylecli.ops.selective_scan.of_map import DIRECTIONS, gated_scan_of_map

# A picture in strips: the states go on from one strip to the next (tiling.py).
scan_along = overridable(of_map.scan_along)


class ConditionalScan(nn.Module):
    """Selective scan (S6, arXiv 2312.00752) of a map (B, C, H, W) in four directions, linear in H W.

    Each quarter of the channels is scanned in one direction, so that four directions cost as much as one (the
    grouping of GroupMamba, arXiv 2407.13772); a depthwise 3 x 3 convolution mixes neighbours before the scan,
    the output projection mixes directions after it.
    """

    def __init__(self, channels: int, config: StyleMambaConfig):
        super().__init__()
        self.group, self.rank, self.state = channels // DIRECTIONS, config.rank, config.state
        self.enter = nn.Linear(channels, 2 * channels)
        self.local = DepthwiseConv(channels, "silu")
        width = DIRECTIONS * (config.rank + 2 * config.state)  # of dt, B and C
        self.choose = nn.Linear(channels, width, bias=False)
        self.condition = nn.Linear(config.code, width)
        self.step = nn.Parameter(torch.empty(DIRECTIONS, config.rank, self.group))
        nn.init.uniform_(self.step, -(config.rank**-0.5), config.rank**-0.5)
        # Step sizes start between 0.001 and 0.1, decays at -1 .. -N, as in Mamba.
        start = torch.exp(torch.empty(DIRECTIONS, self.group).uniform_(math.log(1e-3), math.log(1e-1)))
        self.step_bias = nn.Parameter(start + torch.log(-torch.expm1(-start)))
        decays = torch.arange(1, config.state + 1).float().log()
        self.log_decay = nn.Parameter(decays.repeat(DIRECTIONS, self.group, 1))  # (4, C / 4, N)
        self.direct = nn.Parameter(torch.ones(DIRECTIONS, self.group))  # D
        self.leave = nn.Linear(channels, channels)
        self.leave.weight.data.mul_(0.5)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        u, gate = self.enter(x.permute(0, 2, 3, 1)).chunk(2, dim=-1)  # (B, H, W, C)
        u = materialize(self.local(u.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        dt_B_C = materialize(self.choose(u) + self.condition(code)[:, None, None])
        decay = -self.log_decay.exp()
        parameters = (self.step, self.step_bias, decay, self.direct)
        y = gated_scan_of_map(u, gate, dt_B_C, *parameters, along=scan_along)
        return self.leave(y).permute(0, 3, 1, 2)


class ChannelMix(nn.Module):
    """Two linear layers with a depthwise 3 x 3 convolution between them: (B, C, H, W) to the same."""

    def __init__(self, channels: int, config: StyleMambaConfig):
        super().__init__()
        hidden = config.mix_ratio * channels
        self.enter = nn.Linear(channels, hidden)
        self.local = DepthwiseConv(hidden, "gelu")
        self.leave = nn.Linear(hidden, channels)
        self.leave.weight.data.mul_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.local(self.enter(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return self.leave(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConditionalBlock(nn.Module):
    """x + scan(norm(x)), then x + mix(norm(x)), everything but the mix depending on the style code (B, code).

    x is float32 whatever the network computes in: what blocks add is small beside what they add it to, and what is
    lost in 8 bits of mantissa, the next normalisation makes large.
    """

    def __init__(self, channels: int, config: StyleMambaConfig):
        super().__init__()
        self.norm1, self.norm2 = (AdaIn(channels, config.code, config.limit) for _ in range(2))
        self.scan, self.mix = ConditionalScan(channels, config), ChannelMix(channels, config)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        x = x + self.scan(self.norm1(x, code).to(code.dtype), code).float()
        return x + self.mix(self.norm2(x, code).to(code.dtype)).float()
