"""Layers of VGG-16 that training looks at."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

CONTENT = ("3_3", "4_3")
# Deep layers count most: that is where colour transfer alone scores nothing. In shares of their channels, as in
# stylecli/bench/quality.py.
COARSE = {"1_2": 0.067, "2_2": 0.133, "3_3": 0.267, "4_3": 0.533}


def mean_and_spread(rows: Iterable[list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and standard deviation of every statistic over many styles, (2 C,) per layer, the latter kept off zero."""
    layers = [torch.cat(layer) for layer in zip(*rows, strict=True)]
    spreads = [layer.std(0) for layer in layers]
    return [layer.mean(0) for layer in layers], [s.clamp(min=0.2 * float(s.median())) for s in spreads]
