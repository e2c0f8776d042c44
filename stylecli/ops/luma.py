"""Lightness of pictures."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def luma(image: Tensor) -> Tensor:
    """Lightness (BT.601) of sRGB pictures (B, 3, H, W): (B, 1, H, W) in the same range."""
    return F.conv2d(image, _luma_weights(image.dtype, image.device))


@lru_cache(maxsize=16)
def _luma_weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Sent to a card once: each time, the card would have to be waited for, and no step could be recorded."""
    with torch.inference_mode(False):  # what is kept must serve a later training step too
        return torch.tensor([0.299, 0.587, 0.114], dtype=dtype, device=device).view(1, 3, 1, 1)
