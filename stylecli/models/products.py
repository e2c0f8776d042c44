"""Sums over a feature map's places that texture and structure follow from, with gradients that cost one product more.

Torch's own gradients of a Gram matrix, means and deviations read and write the map a dozen times, which takes longer
than the network that made it. All of it is linear in the products of channels, so a map in parts is their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecli.ops.moments import EPS


@dataclass(frozen=True)
class Products:
    """Means over the places of a map (B, C, H, W), in float32.

    Attributes:
        gram: of the products of every two channels, (B, C, C). mean: of every channel, (B, C).
        along: of every channel's product with the same channel of another map, (B, C); of nothing, zeros.
    """

    gram: Tensor
    mean: Tensor
    along: Tensor

    @classmethod
    def of(cls, features: Tensor, other: Tensor | None = None) -> Products:
        return cls(*_Products.apply(features, other))

    @staticmethod
    def together(parts: Sequence[tuple[Products, float]]) -> Products:
        """Of a map in parts, each with its share of the places."""
        rows = zip(*((p.gram * share, p.mean * share, p.along * share) for p, share in parts), strict=True)
        return Products(*(torch.stack(row).sum(0) for row in rows))

    @property
    def variance(self) -> Tensor:
        """Of every channel: (B, C)."""
        return (self.gram.diagonal(dim1=1, dim2=2) - self.mean.square()).clamp(min=0)

    @property
    def statistics(self) -> Tensor:
        """Channel means and standard deviations, (B, 2 C)."""
        return torch.cat([self.mean, (self.variance + EPS).sqrt()], 1)

    def from_structure(self, square: Tensor, eps: float = 1e-4) -> Tensor:
        """Mean square of what the map, instance-normalised, differs by from the other one, which is normalised too;
        ``square``: (B, C) its mean squares. (B,)"""
        deviation = (self.variance + EPS).sqrt() + eps
        return (self.variance / deviation.square() - 2 * self.along / deviation + square).mean(1)


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, other: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(features, *(() if other is None else (other,)))
        places = _places(features)
        mean = places.mean(1)
        along = torch.zeros_like(mean) if other is None else (places * _places(other)).mean(1)
        return places.mT @ places / places.shape[1], mean, along

    @staticmethod
    def backward(ctx: Any, gram: Tensor, mean: Tensor, along: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        features, *other = ctx.saved_tensors
        places = _places(features)
        N = places.shape[1]
        found = torch.baddbmm(mean[:, None] / N, places, (gram + gram.mT) / N)
        if other:
            found.addcmul_(_places(other[0]), along[:, None] / N)
        return found.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2).to(features.dtype), None


def _places(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C) in float32."""
    return features.float().flatten(2).mT
