"""Feature maps with a border of one place around them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import painting_cuda


def bordered(x: Tensor, reflect: bool = False) -> Tensor:
    """(B, C, H, W) to (B, C, H + 2, W + 2): the last rows and columns again, or those before them (``reflect``).

    On a graphics card by a kernel or, for gradients, by joining rows: torch's own padding leaves channels-last memory
    there, and the gradient of what was read twice is added place by place, slowly and in any order."""
    if x.device.type != "cuda":
        return plain(x, reflect)
    if painting_cuda.paints("bordered", x):
        return painting_cuda.bordered(x, reflect)
    for dim in (2, 3):
        first, last = int(reflect), x.shape[dim] - 1 - int(reflect)
        x = torch.cat([x.narrow(dim, first, 1), x, x.narrow(dim, last, 1)], dim)
    return x


def plain(x: Tensor, reflect: bool = False) -> Tensor:
    """The same by torch's own padding."""
    return F.pad(x, (1, 1, 1, 1), mode="reflect" if reflect else "replicate")
