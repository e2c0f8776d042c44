"""3 x 3 convolution of maps whose border is continued by its last pixel, on its own and after enlargement."""

from stylecli.ops.conv3x3.op import Prepared, blocked_weight, conv3x3, enlarged_conv3x3
from stylecli.ops.conv3x3.reference import conv3x3_reference, enlarged_conv3x3_reference

__all__ = [
    "Prepared",
    "blocked_weight",
    "conv3x3",
    "conv3x3_reference",
    "enlarged_conv3x3",
    "enlarged_conv3x3_reference",
]
