"""3 x 3 convolutions with fewer multiplications than their formula has; plain torch wherever gradients are wanted.

``conv3x3`` is Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, arXiv 1509.09308): a quarter of the products.
``enlarged_conv3x3`` (own decision): enlarging is linear and does not mix channels, so the nine taps can be applied
before it, at a quarter of the pixels, and what they give be enlarged, moved by a pixel and added.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops.conv3x3 import compiled

_FEWEST_CHANNELS = 8  # in and out; below, rearranging takes as long as the products that it saves


class Prepared:
    """Weights as a fast path reads them: made when first asked for, and anew when the weights have changed."""

    def __init__(self) -> None:
        self._key: tuple[int, int] | None = None
        self._made: Tensor | None = None

    def get(self, weight: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        key = weight.data_ptr(), 0 if weight.is_inference() else weight._version
        if self._made is None or self._key != key:
            self._key, self._made = key, make(weight.detach())
        return self._made


def _fast(x: Tensor, weight: Tensor) -> bool:
    """Whether nobody wants gradients (weights that learn change in ways that ``Prepared`` cannot see, too)."""
    learning = weight.requires_grad or (torch.is_grad_enabled() and x.requires_grad)
    return not learning and not x.is_meta and compiled.usable(x, weight)


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor, prepared: Prepared) -> Tensor:
    """Convolution with stride 1 of a map that goes on beyond its border as it is there.

    Args:
        x: (B, C, H, W), in channels-last memory for speed. weight: (D, C, 3, 3). bias: (D,).
        prepared: what is kept with these weights from call to call.

    Returns:
        (B, D, H, W).
    """
    if min(weight.shape[:2]) < _FEWEST_CHANNELS or not _fast(x, weight):
        return plain(x, weight, bias)
    return compiled.winograd(x, prepared.get(weight, compiled.winograd_weight), bias)


def enlarged_conv3x3(x: Tensor, weight: Tensor, bias: Tensor, prepared: Prepared) -> Tensor:
    """``conv3x3`` of x after bilinear enlargement to twice the size: (B, C, H, W) to (B, D, 2 H, 2 W)."""
    if not _fast(x, weight):
        return plain_enlarged(x, weight, bias)
    return compiled.enlarged(x, prepared.get(weight, compiled.taps), bias)


def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The torch path of ``conv3x3``."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias)


def plain_enlarged(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The torch path of ``enlarged_conv3x3``."""
    return plain(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), weight, bias)
