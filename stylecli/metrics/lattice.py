"""How much a network's own pixel grid shows in its pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from stylecli.paint.photo import luma

PERIOD = 4  # pixels: a token of the finest level
_CELLS = 8  # periods in a window, across and down
_EPS = 1e-8  # a flat picture has no lattice


def lattice(image: Tensor, period: int = PERIOD, eps: float = _EPS) -> Tensor:
    """Share of the fine detail of pictures (B, 3, H, W) that repeats every ``period`` pixels: (B,), differentiable.

    Fine detail is luma less its 5 x 5 mean. In windows of 8 x 8 cells of that period the 64 pixels of each phase of a
    cell are averaged; the mean square of these averages is divided by that of all detail. 1: nothing but a pattern of
    that period; white noise: 1/64. Pictures need 8 periods (32 pixels) or more on either side. ``eps``: a mean
    square of detail beside which less counts little.
    """
    y = luma(image.float())
    detail = y - F.avg_pool2d(F.pad(y, (2, 2, 2, 2), mode="reflect"), 5, 1)
    B, _, H, W = detail.shape
    side = _CELLS * period
    detail = detail[..., : H // side * side, : W // side * side]
    windows = detail.reshape(B, H // side, _CELLS, period, W // side, _CELLS, period)
    folded = windows.mean((2, 5))  # (B, windows down, period, windows across, period)
    return folded.square().mean((1, 2, 3, 4)) / (detail.square().mean((1, 2, 3)) + eps)
