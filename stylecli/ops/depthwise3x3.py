"""Depthwise 3 x 3 convolution and the activation behind it, in one reading: compiled where it can be, else plain
torch."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import native, painting_cuda
from stylecli.ops.border import bordered

Activation = Literal["none", "silu", "gelu"]
_ACTIVATIONS = {"none": lambda x: x, "silu": F.silu, "gelu": F.gelu}


def depthwise3x3(x: Tensor, weight: Tensor, bias: Tensor, activation: Activation = "none") -> Tensor:
    """Every channel's own 3 x 3 convolution with stride 1; the map goes on beyond its border as it is there.

    Args:
        x: (B, C, H, W), in channels-last memory for speed; it may be a part of the channels of a wider map.
        weight: (C, 1, 3, 3). bias: (C,). activation: "silu" (x sigmoid(x)), "gelu" (x Phi(x)) or "none".

    Returns:
        (B, C, H, W).
    """
    which = list(_ACTIVATIONS).index(activation)
    if native.paints("depthwise3x3", x, weight, bias):
        return _compiled(x, weight, bias, which)
    if (kernels := painting_cuda.kernels("depthwise3x3", x, weight, bias)) is not None:
        return painting_cuda.depthwise3x3(kernels, x, weight, bias, which)
    return plain(x, weight, bias, activation)


def _compiled(x: Tensor, weight: Tensor, bias: Tensor, activation: int) -> Tensor:
    tokens = x.permute(0, 2, 3, 1)  # (B, H, W, C)
    tokens = tokens if tokens.stride(3) == 1 else tokens.contiguous()
    apart = tokens.stride()[:3]
    out = x.new_empty(tokens.shape)
    nine = weight.flatten(1).t().contiguous()  # (9, C)
    native.call(
        "depthwise3x3", x.dtype, *tokens.shape, *apart, activation, tokens, nine, bias.contiguous(), out
    )
    return out.permute(0, 3, 1, 2)


def plain(x: Tensor, weight: Tensor, bias: Tensor, activation: Activation) -> Tensor:
    """The torch path of ``depthwise3x3``."""
    padded = bordered(x)
    return _ACTIVATIONS[activation](F.conv2d(padded, weight, bias, groups=x.shape[1]))


def depthwise3x3_reference(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation = "none"
) -> Tensor:
    """The same in float64."""
    return plain(x.double(), weight.double(), bias.double(), activation)
