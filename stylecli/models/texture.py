"""The texture of a picture for a feature network: which features occur together. Palettes lie in means, strokes here.

Gram matrices are Gatys et al.'s description of a style (arXiv 1508.06576); dividing every distance by the style's own
scale follows arXiv 2104.10064, so that strong styles do not drown weak ones. Which maps, and that two scales count
alike, are our own decisions (docs/training.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.models.layers import mean_std

Features = Callable[[Tensor], list[Tensor]]
"""Pictures (B, 3, H, W) in 0..1 to feature maps (B, C, h, w), finest first."""


def gram(features: Tensor) -> Tensor:
    """Mean product of every two channels of (B, C, H, W): (B, C, C) in float32."""
    flat = features.float().flatten(2)  # (B, C, H W)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


@dataclass(frozen=True)
class MapTexture:
    """One feature map's Gram matrix (B, C, C), channel means and standard deviations (B, C)."""

    gram: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, features: Tensor) -> MapTexture:
        mean, std = mean_std(features.float())
        return cls(gram(features), mean.flatten(1), std.flatten(1))

    def distance(self, style: MapTexture) -> Tensor:
        """To the texture of a style, in shares of the style's own: (B,), 0 where all agrees, about 2 where nothing
        does."""
        means = _squared(self.mean - style.mean) + _squared(self.std - style.std)
        scale = _squared(style.mean) + _squared(style.std)
        return _squared(self.gram - style.gram) / _squared(style.gram) + means / scale


def _squared(x: Tensor) -> Tensor:
    return x.square().flatten(1).sum(1)


@dataclass(frozen=True)
class Texture:
    """A picture's texture at its full and at half its size, one entry a map."""

    maps: tuple[MapTexture, ...]

    @classmethod
    def of(cls, image: Tensor, features: Features) -> Texture:
        """Of pictures (B, 3, H, W), H, W >= 64."""
        return cls.of_maps([*features(image), *features(halved(image))])

    @classmethod
    def of_maps(cls, maps: Sequence[Tensor]) -> Texture:
        return cls(tuple(MapTexture.of(m) for m in maps))

    def distance(self, style: Texture) -> Tensor:
        """(B,), the sum over maps: 0 where all agrees, about two for every map where nothing does."""
        return torch.stack([a.distance(b) for a, b in zip(self.maps, style.maps, strict=True)]).sum(0)

    def to(self, device: torch.device) -> Texture:
        return Texture(
            tuple(MapTexture(m.gram.to(device), m.mean.to(device), m.std.to(device)) for m in self.maps)
        )

    @staticmethod
    def blend(parts: Sequence[tuple[Texture, float]]) -> Texture:
        """Weighted mean; the weights sum to 1."""

        def mix(values: Sequence[Tensor]) -> Tensor:
            return torch.stack([v * share for v, (_, share) in zip(values, parts, strict=True)]).sum(0)

        layers = zip(*(texture.maps for texture, _ in parts), strict=True)
        return Texture(
            tuple(
                MapTexture(mix([m.gram for m in ms]), mix([m.mean for m in ms]), mix([m.std for m in ms]))
                for ms in layers
            )
        )


def halved(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2)


def instance_normalised(features: Tensor) -> Tensor:
    """(f - mean) / std per picture and channel of (B, C, H, W): where something is, not how it is painted. StyTr2's
    content features (arXiv 2105.14576)."""
    mean, std = mean_std(features.float())
    return (features.float() - mean) / (std + 1e-4)


def total_variation(image: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of (B, C, H, W)."""
    down, across = image[..., 1:, :] - image[..., :-1, :], image[..., 1:] - image[..., :-1]
    return down.abs().mean() + across.abs().mean()


def lattice(image: Tensor, period: int = 4) -> Tensor:
    """How much of the fine detail of (B, 3, H, W), H, W >= 32, repeats every ``period`` pixels: a scalar, 0..1.

    Luma less its 5 x 5 mean, folded modulo ``period`` in windows of eight periods; the mean square of what is left,
    over that of the detail. White noise gives 1/64 (own decision, docs/training.md)."""
    weight = image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    y = (image * weight).sum(1, keepdim=True)
    detail = (y - F.avg_pool2d(F.pad(y, (2, 2, 2, 2), mode="reflect"), 5, 1))[:, 0]  # (B, H, W)
    window = 8 * period
    B, H, W = detail.shape
    h, w = H // window, W // window
    cells = detail[:, : h * window, : w * window].reshape(B, h, 8, period, w, 8, period)
    return cells.mean((2, 5)).square().mean() / (cells.square().mean() + 1e-5)
