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

from stylecli.ops import native
from stylecli.ops.border import bordered
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


def _fast(operator: str, x: Tensor, weight: Tensor, added: Tensor | None = None) -> bool:
    """Whether nobody wants gradients (weights that learn change in ways that ``Prepared`` cannot see, too)."""
    return not weight.requires_grad and native.paints(operator, x, weight, added)


def conv3x3(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    prepared: Prepared,
    before: float = 1.0,
    after: float = 1.0,
    added: Tensor | None = None,
) -> Tensor:
    """Convolution with stride 1 of a map that goes on beyond its border as it is there, and what stands around it in a
    network, so that no map is read or written for that alone.

    Args:
        x: (B, C, H, W), in channels-last memory for speed. weight: (D, C, 3, 3). bias: (D,).
        prepared: what is kept with these weights from call to call.
        before, after: slopes of leaky ReLUs on the way in and out, 0..1; 1 is none.
        added: (B, D, H, W), added to the result before the latter.

    Returns:
        (B, D, H, W).
    """
    if min(weight.shape[:2]) < _FEWEST_CHANNELS or not _fast("conv3x3", x, weight, added):
        return plain(x, weight, bias, before, after, added)
    return compiled.winograd(x, prepared.get(weight, compiled.winograd_weight), bias, before, after, added)


def enlarged_conv3x3(
    x: Tensor, weight: Tensor, bias: Tensor, prepared: Prepared, after: float = 1.0
) -> Tensor:
    """``conv3x3`` of x after bilinear enlargement to twice the size: (B, C, H, W) to (B, D, 2 H, 2 W)."""
    if not _fast("enlarged_conv3x3", x, weight):
        return plain_enlarged(x, weight, bias, after)
    return compiled.enlarged(x, prepared.get(weight, compiled.taps), bias, after)


def blocked_weight(weight: Tensor) -> Tensor:
    """The same convolution for 2 x 2 pixels in the channels of one, as before ``F.pixel_shuffle(., 2)``.

    (D, C, 3, 3) to (4 D, 4 C, 3, 3), mostly zeros. Winograd's quarter of the products makes up for those, and no map is
    written at full size."""
    place = weight.new_zeros(2, 3, 2, 3)  # (to which of two, tap, from which of two, tap of blocks)
    for to in range(2):
        for tap in range(3):
            at = to + tap - 1
            place[to, tap, at % 2, at // 2 + 1].fill_(1)  # "= 1" copies from the CPU, which no CUDA graph may
    both = torch.einsum("dcij,aisk,bjtl->dabcstkl", weight, place, place)
    return both.flatten(3, 5).flatten(0, 2)


def plain(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    before: float = 1.0,
    after: float = 1.0,
    added: Tensor | None = None,
) -> Tensor:
    """The torch path of ``conv3x3``."""
    y = F.conv2d(bordered(_leaky(x, before)), weight, bias)
    return _leaky(y if added is None else y + added, after)


def plain_enlarged(x: Tensor, weight: Tensor, bias: Tensor, after: float = 1.0) -> Tensor:
    """The torch path of ``enlarged_conv3x3``."""
    large = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return plain(large, weight, bias, after=after)


def _leaky(x: Tensor, slope: float) -> Tensor:
    return x if slope == 1 else F.leaky_relu(x, slope)
