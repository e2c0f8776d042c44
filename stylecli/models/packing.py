"""How the numbers of released weights are stored: in float16, and in eight bits wherever a task says so.

Whatever is bundled has to stay small. Networks are as right with weights rounded to a 127th of the largest of their
channel (paintings differ by 51 dB or more).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

EVERYTHING = ("",)
"""What to store in eight bits, where a network paints with that as well."""
_STEPS = 127
_SCALE = ".scale"  # added to a tensor's name: what its integers are multiplied by, for every output channel


def pack(weights: Mapping[str, Tensor], eight_bits: Sequence[str] = ()) -> dict[str, Tensor]:
    """Float16, and int8 with float32 scales where a name of two axes or more begins with one of ``eight_bits``."""
    packed = {}
    for name, value in weights.items():
        if value.dtype == torch.int16:  # numbers of something
            packed[name] = value.cpu().contiguous()
            continue
        value = value.detach().cpu().float().contiguous()
        if value.dim() < 2 or not name.startswith(tuple(eight_bits)):
            packed[name] = value.half()
            continue
        scale = value.abs().amax(tuple(range(1, value.dim())), keepdim=True).clamp(min=1e-12) / _STEPS
        packed[name] = (value / scale).round().to(torch.int8)
        packed[name + _SCALE] = scale
    return packed


def unpack(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of :func:`pack`, in float32, convolutions channels last. Raises KeyError where a scale is missing."""
    unpacked = {}
    for name, value in stored.items():
        if name.removesuffix(_SCALE) in stored and name.endswith(_SCALE):
            continue
        if value.dtype == torch.int16:
            unpacked[name] = value
            continue
        layout = torch.channels_last if value.dim() == 4 else torch.preserve_format
        number = value.float() * stored[name + _SCALE] if value.dtype == torch.int8 else value
        unpacked[name] = number.to(torch.float32, memory_format=layout)
    return unpacked
