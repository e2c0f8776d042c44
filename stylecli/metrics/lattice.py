"""How much a network's own pixel grid shows in its pictures."""

from __future__ import annotations

from torch import Tensor

from stylecli.models import texture
from stylecli.ops.luma import luma

PERIOD = 4  # pixels: a token of the finest level
_EPS = 1e-8  # a flat picture has no lattice


def lattice(image: Tensor, period: int = PERIOD, eps: float = _EPS) -> Tensor:
    """Share of the fine detail of pictures (B, 3, H, W) that repeats every ``period`` pixels: (B,), differentiable
    (:func:`stylecli.models.texture.lattice`). Pictures need 8 periods (32 pixels) or more on either side."""
    return texture.lattice(luma(image.float()), period, eps)
