"""``--colour-only``: a photograph in the colours of a style, with nothing of its strokes.

A palette is the mean and the covariance of a picture's colours in Oklab (Ottosson, 2020), where distances are about
those that people see. The photograph's is moved to the style's by the linear map that moves colours least
(Monge-Kantorovich; Pitié and Kokaram, CVMP 2007), which is the same for all pixels: strips give the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SIDE = 256  # pixels: shorter side of what colours are counted on
_LEAST = 1e-4  # variance that every direction of colour has at least: grey and even pictures have none
_MOST = 3.0  # times as far apart colours may be moved: noise is moved with them

_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def _times(matrix: Sequence[Sequence[float]], image: Tensor, inverse: bool = False) -> Tensor:
    weights = torch.tensor(matrix, dtype=torch.float64)
    weights = weights.inverse() if inverse else weights
    return torch.einsum("oc,bchw->bohw", weights.to(image.device, image.dtype), image)


def to_oklab(image: Tensor) -> Tensor:
    """sRGB (B, 3, H, W) in 0..1 to lightness in 0..1 and two axes of colour about 0."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0) + 0.055) / 1.055) ** 2.4)
    return _times(_TO_LAB, _times(_TO_LMS, linear).clamp(min=0) ** (1 / 3))


def from_oklab(lab: Tensor) -> Tensor:
    """The way back; colours that sRGB has not are cut off."""
    linear = _times(_TO_LMS, _times(_TO_LAB, lab, inverse=True) ** 3, inverse=True).clamp(0, 1)
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    )


@dataclass(frozen=True)
class Palette:
    """``mean`` (B, 3) and ``covariance`` (B, 3, 3) of colours in Oklab, float64 on the CPU."""

    mean: Tensor
    covariance: Tensor

    @staticmethod
    def of(image: Tensor) -> Palette:
        """Of sRGB pictures (B, 3, H, W) in 0..1."""
        colours = to_oklab(image.float().cpu().double()).flatten(2)  # (B, 3, N)
        mean = colours.mean(2)
        apart = colours - mean[..., None]
        return Palette(mean, apart @ apart.mT / colours.shape[2])

    @staticmethod
    def blend(parts: Sequence[tuple[Palette, float]]) -> Palette:
        """By shares that sum to 1."""
        means = torch.stack([palette.mean * share for palette, share in parts]).sum(0)
        return Palette(means, torch.stack([one.covariance * share for one, share in parts]).sum(0))

    def recolour(self, rows: Tensor, photo: Palette) -> Tensor:
        """Rows (B, 3, n, W) of photographs, whose palettes are ``photo``, in these colours; in 0..1."""
        least = _LEAST * torch.eye(3, dtype=torch.float64)
        source = _root(photo.covariance + least)
        back = source.inverse()
        move = back @ _root(source @ (self.covariance + least) @ source) @ back  # (B, 3, 3), symmetric
        values, vectors = torch.linalg.eigh(move)
        move = (vectors * values.clamp(max=_MOST)[..., None, :]) @ vectors.mT
        offset = self.mean - (move @ photo.mean[..., None])[..., 0]
        lab = to_oklab(rows)
        moved = torch.einsum("boc,bchw->bohw", move.to(lab.device, lab.dtype).expand(len(lab), 3, 3), lab)
        return from_oklab(moved + offset.to(lab.device, lab.dtype)[..., None, None])


def _root(matrices: Tensor) -> Tensor:
    """Of symmetric positive matrices (B, 3, 3)."""
    values, vectors = torch.linalg.eigh(matrices)
    return (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT
