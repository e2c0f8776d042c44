"""Feature maps with a border around them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import painting_cuda


def bordered(x: Tensor, reflect: bool = False, width: int = 1) -> Tensor:
    """(B, C, H, W) to (B, C, H + 2 width, W + 2 width): the last rows and columns again, or those before them.

    On a graphics card by a kernel or, for gradients, by joining rows: torch's own padding leaves channels-last memory
    there, and the gradient of what was read twice is added place by place, slowly and in any order.

    Args:
        reflect: those before them; for a width of 1 alone.
        width: of the border, 1 to 4.
    """
    assert width == 1 or not reflect
    if x.device.type != "cuda":
        return plain(x, reflect, width)
    if (kernels := painting_cuda.kernels("bordered", x)) is not None:
        return painting_cuda.bordered(kernels, x, reflect, width)
    for dim in (2, 3):
        first, last = int(reflect), x.shape[dim] - 1 - int(reflect)
        before, behind = [x.narrow(dim, first, 1)] * width, [x.narrow(dim, last, 1)] * width
        x = torch.cat([*before, x, *behind], dim)
    return x


def plain(x: Tensor, reflect: bool = False, width: int = 1) -> Tensor:
    """The same by torch's own padding."""
    return F.pad(x, (width,) * 4, mode="reflect" if reflect else "replicate")
