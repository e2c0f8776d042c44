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

from stylecli.models.products import Products
from stylecli.ops.overridable import mean_std

Features = Callable[[Tensor], list[Tensor]]
"""Pictures (B, 3, H, W) in 0..1 to feature maps (B, C, h, w), finest first."""
_EPS = 1e-8  # mean square of a map in which nothing is seen
_CELLS = 8  # periods in a window of `lattice`, across and down


def gram(features: Tensor) -> Tensor:
    """Mean product of every two channels of (B, C, H, W): (B, C, C) in float32."""
    return Products.of(features).gram


def statistics(features: Tensor) -> Tensor:
    """Channel means and standard deviations of (B, C, H, W): (B, 2 C). AdaIN's description of a style (arXiv
    1703.06868)."""
    return torch.cat(mean_std(features), 1).flatten(1)


@dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """What textures are measured by.

    Attributes:
        maps: pictures (B, 3, H, W), H, W multiples of 8, to four maps. strides: of these.
        halo: pixels that a place of a map sees on each side, a multiple of 8.
        fingerprint: stands for its numbers; empty where it is a part of the network that paints.
    """

    maps: Features
    strides: tuple[int, ...]
    halo: int
    fingerprint: str = ""


@dataclass(frozen=True)
class Texture:
    """What is compared of a style's feature maps, two rows a map: its Gram matrix (B, C C) and its statistics (B, 2 C).

    Attributes:
        units: the rows made 1 long, which float16 holds whatever their network's scale.
        lengths: (B, 1) a row.
    """

    units: tuple[Tensor, ...]
    lengths: tuple[Tensor, ...]

    @classmethod
    def of(cls, maps: Sequence[Tensor | Products]) -> Texture:
        """Of feature maps (B, C, H, W), or of their products."""
        return cls._measured(_rows(maps))

    @classmethod
    def _measured(cls, rows: Sequence[Tensor]) -> Texture:
        lengths = [(row.square().sum(1, keepdim=True) + _EPS).sqrt() for row in rows]
        return cls(tuple(row / length for row, length in zip(rows, lengths, strict=True)), tuple(lengths))

    def apart(self, maps: Sequence[Tensor | Products]) -> Tensor:
        """How far the feature maps (B, C, h, w) of paintings are from this texture, in squares of its lengths and
        summed over rows: (B,). 0 where all agrees, about two for every map where nothing does.

        Per map, with Gram matrices G, channel means m and standard deviations d of painting and style:
        |G - G_s|^2 / |G_s|^2 + (|m - m_s|^2 + |d - d_s|^2) / (|m_s|^2 + |d_s|^2).
        """
        rows = zip(_rows(maps), self.units, self.lengths, strict=True)
        return torch.stack([(row / length - unit).square().sum(1) for row, unit, length in rows]).sum(0)

    def to(self, target: torch.device | torch.dtype) -> Texture:
        """On a device; or the units, which are many, in another number format."""
        lengths = [
            length.to(target) if isinstance(target, torch.device) else length for length in self.lengths
        ]
        return Texture(tuple(unit.to(target) for unit in self.units), tuple(lengths))

    def maps(self, first: int, last: int) -> Texture:
        """Of some of the maps."""
        part = slice(2 * first, 2 * last)
        return Texture(self.units[part], self.lengths[part])

    def rows(self) -> tuple[Tensor, ...]:
        """All of it, see :meth:`of_rows`."""
        return *self.units, *self.lengths

    @classmethod
    def of_rows(cls, rows: Sequence[Tensor]) -> Texture:
        """That whose :meth:`rows` these are."""
        half = len(rows) // 2
        return cls(tuple(rows[:half]), tuple(rows[half:]))

    def row(self, place: int) -> Texture:
        """That of one picture of a batch, with memory of its own."""
        rows = (tuple(x[place : place + 1].clone() for x in part) for part in (self.units, self.lengths))
        return Texture(*rows)

    @staticmethod
    def batch(textures: Sequence[Texture]) -> Texture:
        """Several as one, in this order."""
        units = zip(*(texture.units for texture in textures), strict=True)
        lengths = zip(*(texture.lengths for texture in textures), strict=True)
        return Texture(tuple(map(torch.cat, units)), tuple(map(torch.cat, lengths)))

    @staticmethod
    def blend(parts: Sequence[tuple[Texture, float]]) -> Texture:
        """Weighted mean; the weights sum to 1."""
        rows = zip(
            *(
                [unit * length * share for unit, length in zip(t.units, t.lengths, strict=True)]
                for t, share in parts
            ),
            strict=True,
        )
        return Texture._measured([torch.stack(row).sum(0) for row in rows])


def _rows(maps: Sequence[Tensor | Products]) -> list[Tensor]:
    products = (x if isinstance(x, Products) else Products.of(x) for x in maps)
    return [row for p in products for row in (p.gram.flatten(1), p.statistics)]


def halved(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2)


def instance_normalised(features: Tensor) -> Tensor:
    """(f - mean) / std per picture and channel of (B, C, H, W): where something is, not how it is painted. StyTr2's
    content features (arXiv 2105.14576)."""
    mean, std = mean_std(features.float())
    return (features.float() - mean) / (std + 1e-4)


def lattice(lightness: Tensor, period: int, eps: float) -> Tensor:
    """Share of the fine detail of (B, 1, H, W) that repeats every ``period`` pixels: (B,), differentiable.

    Fine detail is lightness less its 5 x 5 mean. In windows of 8 x 8 cells of that period the 64 pixels of each phase
    of a cell are averaged; the mean square of these averages is divided by that of all detail. 1: nothing but a pattern
    of that period; white noise: 1/64; 0 where no window fits in. ``eps``: a mean square of detail beside which less
    counts little. Own decision (docs/training.md).
    """
    detail = lightness - F.avg_pool2d(F.pad(lightness, (2, 2, 2, 2), mode="reflect"), 5, 1)
    B, _, H, W = detail.shape
    side = _CELLS * period
    if min(H, W) < side:
        return lightness.new_zeros(B)
    detail = detail[..., : H // side * side, : W // side * side]
    windows = detail.reshape(B, H // side, _CELLS, period, W // side, _CELLS, period)
    folded = windows.mean((2, 5))  # (B, windows down, period, windows across, period)
    return folded.square().mean((1, 2, 3, 4)) / (detail.square().mean((1, 2, 3)) + eps)
