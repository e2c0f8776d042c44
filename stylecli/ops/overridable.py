"""Functions of whole feature maps, which are computed in another way where a picture is painted in strips."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor
from torch.overrides import wrap_torch_function

from stylecli.ops import adain as ops_adain
from stylecli.ops import conv3x3 as ops_conv3x3
from stylecli.ops import depthwise3x3 as ops_depthwise
from stylecli.ops import gates as ops_gates
from stylecli.ops import moments as ops_moments

_Function = TypeVar("_Function", bound=Callable[..., object])


def overridable(function: _Function) -> _Function:
    """Let ``function`` be computed in another way for what stands in for tensors, as torch's own functions can:
    stylecli/tiling computes pictures in strips, and so must whatever looks at more than a token's neighbours."""
    return wrap_torch_function(lambda *args: args)(function)  # type: ignore[return-value]


@overridable
def materialize(x: Tensor) -> Tensor:
    """x itself. Says what is to be computed once and kept where a picture is painted in strips."""
    return x


mean_std = overridable(ops_moments.mean_std)

# A picture in strips: rows by themselves are enough for the first; for the others strips have to overlap.
adain = overridable(ops_adain.adain)
gated = overridable(ops_gates.gated)
squared_relu = overridable(ops_gates.squared_relu)
bounded = overridable(ops_gates.bounded)
conv3x3 = overridable(ops_conv3x3.conv3x3)
enlarged_conv3x3 = overridable(ops_conv3x3.enlarged_conv3x3)
depthwise3x3 = overridable(ops_depthwise.depthwise3x3)
