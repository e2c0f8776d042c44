"""Losses of painting networks: StyleRWKV's (arXiv 2412.19535 names content, style, identity 1 and 2), and those of
texture.

All feature losses are scale-free: features are instance-normalised or standardised first, so that every layer
counts alike and the weights mean the same whatever network gives the features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.metrics.lattice import lattice
from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.models.texture import Texture
from stylecli.paint.guidance import total_variation

_EPS = 1e-4
_PERIODS = (4, 8, 16)  # pixels: tokens of the three finest levels
_FAR = 5.0  # spreads; nearly half of what paintings lack of their style lies beyond two of them


def content_loss(output: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of instance-normalised features (B, C, H, W): 0 = same structure, 2 = unrelated."""
    return F.mse_loss(instance_normalised(output), content.float())


def style_loss(output: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Distance of channel means and standard deviations, each divided by its spread over many styles.

    AdaIN's style loss (arXiv 1703.06868, eq. 13), standardised per dimension, half of the squared distance up to
    five spreads and linear beyond (Huber), so that rarely active channels do not rule.

    Args:
        output: (B, C, H, W) features. target: (B, 2 C) statistics wanted. scale: (2 C,) their spread.

    Returns:
        (B,), one number for every picture.
    """
    difference = (statistics(output) - target.float()) / scale
    return F.huber_loss(difference, torch.zeros_like(difference), reduction="none", delta=_FAR).mean(1)


def code_loss(predicted: Tensor, targets: list[Tensor], scales: list[Tensor], weight: Tensor) -> Tensor:
    """The same distance for statistics (B, D) that a linear probe reads from the style code, all layers in one row
    and already divided by their spread: it teaches the code what a feature network sees in a style."""
    wanted = torch.cat([t.float() / s for t, s in zip(targets, scales, strict=True)], 1)
    return (F.huber_loss(predicted, wanted, reduction="none", delta=2.0).mean(1) * weight).mean()


def feature_difference(output: Tensor, content: Tensor) -> Tensor:
    """|output - content|^2 / |content|^2 of features (N, C, H, W), per image (N,): 0 = the same, 1 = nothing left.

    One layer of the paper's second identity loss; relative, so that every layer counts alike."""
    squared = (output.float() - content.float()).square().mean((1, 2, 3))
    return squared / (content.float().square().mean((1, 2, 3)) + _EPS)


def lattice_loss(image: Tensor) -> Tensor:
    """How much of the fine detail of pictures (B, 3, H, W) repeats every 4, 8 or 16 pixels, beyond noise: (B,).

    A sum over the periods of which eight fit in; nearly flat pictures count little."""
    periods = [p for p in _PERIODS if 8 * p <= min(image.shape[2:])]
    shares = torch.stack([lattice(image, p, 1e-5) for p in periods])  # (periods, B)
    return (shares - 1 / 64).clamp(min=0).sum(0)


def pixel_terms(output: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Mean absolute difference of pictures (B, 3, H, W), and of their differences to neighbours (sharp edges)."""
    difference = output - wanted
    return {"absolute": difference.abs().mean(), "edges": total_variation(difference)}


# Texture: strokes, not only palettes. Each takes feature maps of paintings and of their styles (which may be of other
# sizes) and gives one number for every picture, in units of the style's own, so that strong styles do not drown weak
# ones (arXiv 2104.10064).


def gram_loss(output: Sequence[Tensor], style: Sequence[Tensor]) -> Tensor:
    """Which features occur together, and how strong each is; a distance, that is, the root of a sum over layers.

    Per layer as :meth:`Texture.apart` has it.

    Args:
        output, style: (B, C, H, W) per layer, the two of any sizes.

    Returns:
        (B,).
    """
    return (Texture.of(style).apart(output) + 1e-6).sqrt()


def _sorted_difference(output: Tensor, style: Tensor) -> Tensor:
    """Squared difference of sorted numbers (B, K, N) and (B, K, M), relative to the mean square of the latter: (B,).

    In one dimension that is the squared Wasserstein distance of two sets. The second is read at N places."""
    found, wanted = output.sort(dim=-1).values, style.sort(dim=-1).values
    if wanted.shape[-1] != found.shape[-1]:
        wanted = F.interpolate(wanted, found.shape[-1], mode="linear", align_corners=False)
    return (found - wanted).square().mean((1, 2)) / (style.square().mean((1, 2)) + _EPS)


def sliced_wasserstein_loss(output: Tensor, style: Tensor, seed: int, projections: int = 64) -> Tensor:
    """How far two sets of feature vectors (B, C, H, W) are apart, whatever the places: (B,).

    The mean over random directions of the squared distance of sorted projections (arXiv 2006.07229); ``seed`` decides
    the directions. All moments count, not the first two alone."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(projections, output.shape[1], generator=generator).to(output.device)
    directions = F.normalize(directions, dim=1)
    return _sorted_difference(*(directions @ f.float().flatten(2) for f in (output, style)))


def sorted_loss(output: Tensor, style: Tensor) -> Tensor:
    """Exact feature matching: every channel of (B, C, H, W) should hold the numbers of the style's, sorted: (B,).

    Histograms of channels by sorting (EFDM, arXiv 2203.07740; as AesFA uses it, arXiv 2312.05928)."""
    return _sorted_difference(output.float().flatten(2), style.float().flatten(2))


def local_loss(output: Tensor, content: Tensor, style: Tensor, places: int = 1024) -> Tensor:
    """AdaAttN's local feature loss (arXiv 2108.03647, eq. 9): (B,).

    Every place of the content looks for places of the style that resemble it; the output should have there the
    attention-weighted mean and deviation of what it finds: S * norm(content) + M. Maps (B, C, H, W) of more than about
    ``places`` places are averaged down first, for attention's memory is the product of both sizes."""
    output, content, style = (_at_most(f.float(), places) for f in (output, content, style))
    with torch.no_grad():
        query, key = (instance_normalised(f).flatten(2) for f in (content, style))  # (B, C, N), (B, C, M)
        attention = (query.transpose(1, 2) @ key).softmax(-1)  # (B, N, M)
        value = style.flatten(2).transpose(1, 2)  # (B, M, C)
        mean = attention @ value
        deviation = (attention @ value.square() - mean.square()).clamp(min=0).sqrt()
        wanted = (deviation * query.transpose(1, 2) + mean).transpose(1, 2)  # (B, C, N)
    difference = (output.flatten(2) - wanted).square().mean((1, 2))
    return difference / (style.square().mean((1, 2, 3)) + _EPS)


def _at_most(features: Tensor, places: int) -> Tensor:
    H, W = features.shape[2:]
    stride = math.ceil(math.sqrt(H * W / places))
    return F.avg_pool2d(features, stride) if stride > 1 else features


def contrast_loss(output: Tensor, own: Tensor, others: Tensor, temperature: float = 0.1) -> Tensor:
    """A painting should be nearer to its own style than to any other: (B,).

    InfoNCE over cosines of descriptions, as in CAST (arXiv 2205.09542).

    Args:
        output, own: (B, D) of paintings and of their styles. others: (B, N, D) of other styles.
    """
    candidates = torch.cat([own[:, None], others], 1).to(output)  # (B, 1 + N, D)
    likeness = F.cosine_similarity(output[:, None], candidates, dim=2) / temperature
    return F.cross_entropy(likeness, likeness.new_zeros(len(likeness), dtype=torch.long), reduction="none")


def lighter_lows(features: Tensor, keep: float, size: int = 9) -> Tensor:
    """Feature maps (B, C, H, W) with only a share ``keep`` of what is coarser than about ``size`` places.

    For use before the losses above (own decision; colour is easy, strokes are not): 1 gives the maps back."""
    if keep == 1:
        return features
    border = min(size // 2, features.shape[2] - 1, features.shape[3] - 1)
    padded = F.pad(features, (border,) * 4, mode="reflect")
    return features - (1 - keep) * F.avg_pool2d(padded, 2 * border + 1, 1)
