"""How much a network's own pixel grid shows in its pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from stylecli.paint.photo import luma

PERIOD = 4  # pixels: a token of the finest level
WINDOW = 32  # pixels; a multiple of the period
_EPS = 1e-8  # a flat picture has no lattice


def lattice(image: Tensor) -> Tensor:
    """Share of the fine detail of pictures (B, 3, H, W) that repeats every 4 pixels: (B,), differentiable.

    Fine detail is luma less its 5 x 5 mean. In windows of 32 x 32 the 64 pixels of each of the 16 phases of a
    4 x 4 cell are averaged; the mean square of these averages is divided by that of all detail. 1: nothing but a
    pattern of period 4; white noise: 1/64. Pictures need 32 pixels or more on either side.
    """
    y = luma(image.float())
    detail = y - F.avg_pool2d(F.pad(y, (2, 2, 2, 2), mode="reflect"), 5, 1)
    B, _, H, W = detail.shape
    detail = detail[..., : H // WINDOW * WINDOW, : W // WINDOW * WINDOW]
    cells = WINDOW // PERIOD
    windows = detail.reshape(B, H // WINDOW, cells, PERIOD, W // WINDOW, cells, PERIOD)
    folded = windows.mean((2, 5))  # (B, windows down, 4, windows across, 4)
    return folded.square().mean((1, 2, 3, 4)) / (detail.square().mean((1, 2, 3)) + _EPS)
