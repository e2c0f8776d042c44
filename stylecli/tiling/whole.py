"""Statistics over the whole image, accumulated strip by strip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stylecli.ops.moments import EPS
from stylecli.ops.overridable import mean_std
from stylecli.tiling.lazy_map import LazyFeatureMap
from stylecli.tiling.local import handles

# What is worked on at a time is small, whatever the strips: this is not tried again with less.
_NUMBERS = 1 << 20  # of a map, for its statistics


@handles(mean_std)
def _mean_std(func: Any, x: LazyFeatureMap) -> tuple[Tensor, Tensor]:
    """Means and squared deviations of strips, put together as in Chan et al. (1979), in float64."""
    whole = x.whole()
    count = 0
    mean = squares = torch.zeros(())
    for rows in whole.split(max(1, _NUMBERS // (x.shape[1] * x.shape[3])), dim=2):
        tokens = rows.to(x.device).permute(0, 2, 3, 1).flatten(1, 2).float()  # (B, n, C)
        own = tokens.mean(1)
        own_squares = (tokens - own[:, None]).square().sum(1).double()
        own, n = own.double(), tokens.shape[1]
        if not count:
            mean, squares = torch.zeros_like(own), torch.zeros_like(own)
        gap = own - mean
        mean = mean + gap * (n / (count + n))
        squares = squares + own_squares + gap.square() * (count * n / (count + n))
        count += n
    mean, std = mean.float(), (squares / count + EPS).sqrt().float()
    return mean[..., None, None], std[..., None, None]
