"""``--refine N``: some iterations that adapt StyleMamba to one prompt, with the paper's guidance.

StyleMamba (arXiv 2405.05027) trains its fusion module per prompt with a masked and a second-order directional loss,
in some 15 to 40 iterations. Here they start from the trained weights, with the masked one. Own decisions: squares of
a quarter to 70 % of the picture's side, each seen at 96 pixels, or at the size that a published encoder takes; the
whole picture takes part in every iteration; what the weights painted before holds the coarse colours; Adam.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.models.backbones.encoder import PublishedSiglip
from stylecli.models.siglip import Siglip
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.paint import guidance

_SEEN = 96  # side at which our own image tower sees a crop


@dataclass(frozen=True)
class Refinement:
    """How to refine; which directional losses, and what holds the picture together.

    Attributes:
        masked, second_order: use these losses of the paper; with neither, the plain directional loss of crops. The
            second-order loss is off (own decision): as we read it, its gradient grows as steps get smaller, and the
            picture swings to and fro instead of arriving (``stylize bench convergence``).
        iterations, crops, lr, seed: length, crops per iteration, Adam's learning rate, what decides the crops.
        stay: weight of the distance from the picture that the trained weights give.
        tv: weight of total variation.
    """

    iterations: int = 20
    masked: bool = True
    second_order: bool = False
    crops: int = 16
    lr: float = 5e-4
    seed: int = 0
    stay: float = 1.0
    tv: float = 0.05


def refine(
    painter: TextPainter,
    encoder: Siglip | PublishedSiglip,
    photos: Tensor,
    style: Tensor,
    how: Refinement,
    progress: Callable[[int, float], None] = lambda iteration, loss: None,
) -> StyleMamba:
    """A copy of the fusion module, adapted to a prompt on one or more photographs.

    Args:
        photos: (B, 3, H, W) in 0..1, 128 pixels or more on either side; about 200 are quick and enough.
        style: (1, style_size) of a phrase; it ends with the phrase's embedding.
        progress: told the iteration (from 1) and the directional loss of its whole pictures.

    Returns:
        The adapted module; ``painter`` stays as it is. The same seed gives the same module on the same machine.
    """
    fusion = copy.deepcopy(painter.fusion).requires_grad_(True)
    neutral = painter.photograph.clone()
    said = style[:, -neutral.shape[1] :]
    side = encoder.side if isinstance(encoder, PublishedSiglip) else _SEEN
    generator = torch.Generator().manual_seed(how.seed)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=how.lr, betas=(0.9, 0.99))
    with torch.no_grad():
        latent = painter.autoencoder.encode(photos)
        first = painter.autoencoder.decode(fusion(latent, fusion.style_code(style), how.seed))
    previous: Tensor | None = None
    for iteration in range(1, how.iterations + 1):
        output = painter.autoencoder.decode(fusion(latent, fusion.style_code(style), how.seed))
        boxes = _boxes(photos.shape[-2:], how.crops, generator)
        after, before = (encoder.encode_image(_crops(x, boxes, side)) for x in (output, photos))
        if how.masked:
            loss = guidance.masked_directional_loss(after, before.detach(), said, neutral)
        else:
            loss = guidance.directional_loss(after, before.detach(), said, neutral).mean()
        whole = encoder.encode_image(_seen(output, side))
        origin = encoder.encode_image(_seen(photos, side)).detach()
        if how.second_order and previous is not None:
            second = guidance.second_order_directional_loss(whole, previous, origin, said, neutral)
            loss = loss + second.mean()
        previous = whole.detach()
        plain = guidance.directional_loss(whole, origin, said, neutral).mean()
        loss = loss + plain
        loss = loss + how.stay * F.mse_loss(F.avg_pool2d(output, 8), F.avg_pool2d(first, 8))
        loss = loss + how.tv * guidance.total_variation(output) + guidance.out_of_range(output)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
        optimizer.step()
        progress(iteration, float(plain.detach()))
    return fusion.requires_grad_(False)


def _boxes(size: tuple[int, ...], count: int, generator: torch.Generator) -> list[tuple[int, int, int]]:
    """Corners and sides of random squares."""
    H, W = size
    boxes = []
    for share, y, x in torch.rand(count, 3, generator=generator).tolist():
        side = max(32, int(min(H, W) * (0.25 + 0.45 * share)))
        boxes.append((int(y * (H - side)), int(x * (W - side)), side))
    return boxes


def _crops(image: Tensor, boxes: list[tuple[int, int, int]], seen: int) -> Tensor:
    """(B, 3, H, W) to (P B, 3, seen, seen)."""
    return torch.cat([_seen(image[..., y : y + side, x : x + side], seen) for y, x, side in boxes])


def _seen(image: Tensor, side: int) -> Tensor:
    return F.interpolate(image, (side, side), mode="bilinear", antialias=True)
