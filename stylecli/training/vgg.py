"""VGG-16 features for losses and figures (arXiv 1409.1556). Needed for training only; never shipped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from stylecli.errors import WeightsError

LAYERS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1")


class Vgg16(nn.Module):
    """Convolutions of VGG-16 in the Caffe convention (BGR, 0-255, mean subtracted), frozen.

    Args:
        path: safetensors file with ``conv1_1.weight``, ``conv1_1.bias``, … up to the layers that are asked for.
    """

    mean: Tensor

    def __init__(self, path: Path):
        super().__init__()
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: VGG-16 weights cannot be read ({error})") from None
        for name in LAYERS:
            if f"conv{name}.weight" in weights:
                weight, bias = (weights[f"conv{name}.{part}"].float() for part in ("weight", "bias"))
                self.register_buffer(f"w{name}", weight.contiguous(memory_format=torch.channels_last))
                self.register_buffer(f"b{name}", bias)
        self.register_buffer("mean", torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1))

    def forward(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Images (B, 3, H, W) in 0..1 to ``{layer: relu features (B, C, h, w)}``; stops at the deepest layer."""
        wanted, out, block = set(layers), {}, "1"
        x = (x.flip(1) * 255 - self.mean).contiguous(memory_format=torch.channels_last)
        for name in LAYERS:
            if name[0] != block:
                x, block = F.max_pool2d(x, 2), name[0]
            # Reflected: zeros around a small crop would show in every statistic, more so the smaller the crop.
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
            x = F.relu(F.conv2d(x, getattr(self, f"w{name}"), getattr(self, f"b{name}")), inplace=True)
            if name in wanted:
                out[name] = x
                if len(out) == len(wanted):
                    break
        return out
