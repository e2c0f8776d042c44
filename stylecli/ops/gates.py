"""What StyleRWKV computes number by number between its products: on a card in one reading, else in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import painting_cuda


def gated(gate: Tensor, x: Tensor) -> Tensor:
    """sigmoid(gate) x, both of one shape."""
    y = painting_cuda.each_number("gated", gate, x)
    return torch.sigmoid(gate) * x if y is None else y


def squared_relu(x: Tensor) -> Tensor:
    """max(x, 0)^2 (Primer, arXiv 2109.08668)."""
    y = painting_cuda.each_number("squared_relu", x)
    return F.relu(x).square() if y is None else y


def bounded(x: Tensor, bound: float) -> Tensor:
    """bound tanh(x)."""
    y = painting_cuda.each_number("bounded", x, bound=bound)
    return bound * torch.tanh(x) if y is None else y
