"""Losses of StyleRWKV's training (arXiv 2412.19535 names them: content, style, identity 1 and 2).

All feature losses are scale-free: features are instance-normalised or standardised first, so that every layer
counts alike and the weights mean the same whatever network gives the features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.metrics.statistics import instance_normalised, statistics

_EPS = 1e-4
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


def total_variation(image: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of (B, 3, H, W)."""
    return (image[..., 1:, :] - image[..., :-1, :]).abs().mean() + (
        image[..., 1:] - image[..., :-1]
    ).abs().mean()


def pixel_terms(output: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Mean absolute difference of pictures (B, 3, H, W), and of their differences to neighbours (sharp edges)."""
    difference = output - wanted
    return {"absolute": difference.abs().mean(), "edges": total_variation(difference)}


def direction(moved: Tensor, origin: Tensor) -> Tensor:
    """Unit vectors from ``origin`` to ``moved``, (..., E)."""
    return F.normalize(moved - origin, dim=-1)


def directional_loss(output: Tensor, content: Tensor, prompt: Tensor, photo: Tensor) -> Tensor:
    """1 - cos(dI, dT) with dI = E_I(output) - E_I(content) and dT = E_T(prompt) - E_T("a photo"), per picture.

    The directional loss of StyleGAN-NADA and CLIPstyler (arXiv 2112.00374, eq. 2), which StyleMamba builds upon.

    Args:
        output, content: (B, E) image embeddings. prompt, photo: (B or 1, E) text embeddings.

    Returns:
        (B,) in 0..2: 0 = the picture moved exactly where the words moved.
    """
    return 1 - (direction(output, content) * direction(prompt, photo)).sum(-1)


def masked_directional_loss(
    output: Tensor, content: Tensor, prompt: Tensor, photo: Tensor, threshold: float = 0.7
) -> Tensor:
    """StyleMamba's masked directional loss (arXiv 2405.05027; our reading): the directional loss of random local
    crops, of which those that are already there count nothing, so that effort goes where style is missing.

    Args:
        output, content: (P, E) embeddings of the same P crops. prompt, photo: (1, E).
        threshold: a crop whose loss is below this is set to zero (CLIPstyler's rejection, arXiv 2112.00374, eq. 4).

    Returns:
        Mean over all P crops, a scalar.
    """
    loss = directional_loss(output, content, prompt, photo)
    return torch.where(loss > threshold, loss, torch.zeros_like(loss)).mean()


def second_order_directional_loss(
    output: Tensor, previous: Tensor, content: Tensor, prompt: Tensor, photo: Tensor, step: float = 1.0
) -> Tensor:
    """StyleMamba's second-order directional loss (arXiv 2405.05027; our reading, no formula is public).

    With d_k = E_I(y_k) - E_I(x) at iteration k, s_k = d_k - d_{k-1} is the change of direction and
    r_k = step |d_k| dT - d_{k-1}, dT of unit length, what was still missing: 1 - cos(s_k, r_k). Gradients flow
    through y_k only.

    Args:
        output, previous: (B, E) embeddings of this iteration's picture and of the one before.
        content: (B, E); prompt, photo: (B or 1, E); step: tau, how far along dT the target lies.

    Returns:
        (B,) in 0..2: 0 = this iteration's change went straight to what was missing.
    """
    now, before = output - content, (previous - content).detach()
    missing = step * now.detach().norm(dim=-1, keepdim=True) * direction(prompt, photo) - before
    return 1 - F.cosine_similarity(now - before, missing, dim=-1)


def out_of_range(image: Tensor) -> Tensor:
    """Mean distance of (B, 3, H, W) from the range 0..1, where it is outside."""
    return F.relu((image - 0.5).abs() - 0.5).mean()
