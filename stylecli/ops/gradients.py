"""Whether anybody learns from what is computed: kernels for painting alone have no gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def wanted(*tensors: Tensor | None) -> bool:
    """Whether gradients of any of these are to be had."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
