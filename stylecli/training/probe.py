"""A network beside a linear probe that reads style statistics from its style code."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Probed(nn.Module):
    """``network``, and ``probe``: (B, code) to standardised VGG statistics (B, D) in one row.

    The probe starts by predicting the typical style, and is not released; it is there to teach the code what a
    feature network sees in a style (see :func:`stylecli.training.losses.code_loss`).
    """

    def __init__(self, network: nn.Module, code: int, means: list[Tensor], spreads: list[Tensor]):
        super().__init__()
        self.network = network
        typical = torch.cat([m / s for m, s in zip(means, spreads, strict=True)])
        self.probe = nn.Linear(code, len(typical))
        nn.init.zeros_(self.probe.weight)
        self.probe.bias.data.copy_(typical)
