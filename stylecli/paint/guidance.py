"""Losses that move a picture where words move, and hold it together meanwhile: of refining and of training alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def total_variation(image: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of (B, 3, H, W)."""
    return (image[..., 1:, :] - image[..., :-1, :]).abs().mean() + (
        image[..., 1:] - image[..., :-1]
    ).abs().mean()


def out_of_range(image: Tensor) -> Tensor:
    """Mean distance of (B, 3, H, W) from the range 0..1, where it is outside."""
    return F.relu((image - 0.5).abs() - 0.5).mean()
