"""VGG-16 features for losses and figures (arXiv 1409.1556). Never shipped."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from stylecli.errors import WeightsError
from stylecli.ops.border import bordered

LAYERS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1")
_TORCHVISION = dict(zip(LAYERS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24), strict=True))
"""Where each convolution sits in torchvision's ``features``; ReLUs and poolings take the places between."""


class Vgg16(nn.Module):
    """Convolutions of VGG-16, frozen. Which convention they follow shows in their names.

    Caffe's, ``conv1_1.weight``, … : the network wants BGR in 0..255 with its mean subtracted. torchvision's,
    ``features.0.weight``, … : RGB in 0..1, normalised by ImageNet's means and standard deviations.

    Args:
        path: safetensors file of either kind, up to the layers that are asked for. Other tensors are not read.
        last: the deepest layer that is read and needed; None: whatever is there.

    Attributes:
        unit: about how large its maps' numbers are.

    Raises:
        WeightsError: the file cannot be read or holds neither kind.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, path: Path, last: str | None = None):
        super().__init__()
        try:
            with safe_open(path, "pt") as file:
                held = set(file.keys())
                self.bgr = "conv1_1.weight" in held
                for layer in LAYERS[: None if last is None else LAYERS.index(last) + 1]:
                    name = f"conv{layer}" if self.bgr else f"features.{_TORCHVISION[layer]}"
                    if {f"{name}.weight", f"{name}.bias"} <= held:
                        weight = file.get_tensor(f"{name}.weight").float()
                        self.register_buffer(
                            f"w{layer}", weight.contiguous(memory_format=torch.channels_last)
                        )
                        self.register_buffer(f"b{layer}", file.get_tensor(f"{name}.bias").float())
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: VGG-16 weights cannot be read ({error})") from None
        if not hasattr(self, f"w{last or '1_1'}"):
            raise WeightsError(f"{path}: no VGG-16 in it (neither conv1_1.weight nor features.0.weight)")
        self.unit = 128.0 if self.bgr else 1.0
        if self.bgr:
            mean, scale = [123.68 / 255, 116.779 / 255, 103.939 / 255], [255.0] * 3
        else:
            mean, scale = [0.485, 0.456, 0.406], [1 / 0.229, 1 / 0.224, 1 / 0.225]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))  # of red, green, blue in 0..1
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1))

    def in_units(self) -> Vgg16:
        """With all maps divided by ``unit`` from now on: ReLUs, so its first weights and all biases are."""
        for name, held in self.named_buffers():
            if name == "w1_1" or name.startswith("b"):
                held.div_(self.unit)
        self.unit = 1.0
        return self

    def forward(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Images (B, 3, H, W) in 0..1 to ``{layer: relu features (B, C, h, w)}``; stops at the deepest layer."""
        wanted, out, block = set(layers), {}, "1"
        x = (x - self.mean) * self.scale
        x = (x.flip(1) if self.bgr else x).contiguous(memory_format=torch.channels_last)
        for name in LAYERS:
            if name[0] != block:
                x, block = F.max_pool2d(x, 2), name[0]
            # Reflected: zeros around a small crop would show in every statistic, more so the smaller the crop.
            x = bordered(x, reflect=True)
            x = F.relu(F.conv2d(x, getattr(self, f"w{name}"), getattr(self, f"b{name}")), inplace=True)
            if name in wanted:
                out[name] = x
                if len(out) == len(wanted):
                    break
        return out
