"""What VGG-16 says of a painting: at half size content and coarse style, in a window at full size the fine texture."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.training import losses

CONTENT = ("3_3", "4_3")
# Deep layers count most: that is where colour transfer alone scores nothing. In shares of their channels, as in
# stylecli/bench/quality.py.
COARSE = {"1_2": 0.067, "2_2": 0.133, "3_3": 0.267, "4_3": 0.533}
FINE = ("1_1", "1_2", "2_1", "2_2")


def half(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2)


@torch.no_grad()
def content_features(vgg: Vgg16, image: Tensor, unit: float = 1.0) -> list[Tensor]:
    """Image (1, 3, H, W) to instance-normalised features, (1, C, h, w) float16 per layer of CONTENT, at half size.

    They are divided by ``unit`` first: channels that vary by less than about 0.003 of it count little."""
    features = vgg(half(image), CONTENT)
    return [instance_normalised(features[n].float() / unit).half() for n in CONTENT]


@torch.no_grad()
def style_statistics(vgg: Vgg16, image: Tensor) -> list[Tensor]:
    """Style (1, 3, S, S) to statistics, (1, 2 C) per layer of COARSE, then of FINE in the middle.

    At the style's own size: a painting is seen at half of its own, so strokes come out as wide as they would be in a
    picture twice as large. (With the style halved too, they came out so fine that nobody took them for the style's.)"""
    coarse = vgg(image, COARSE)
    quarter = image.shape[-1] // 4
    fine = vgg(image[..., quarter:-quarter, quarter:-quarter], FINE)
    return [statistics(coarse[n]) for n in COARSE] + [statistics(fine[n]) for n in FINE]


def mean_and_spread(rows: Iterable[list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """Mean and standard deviation of every statistic over many styles, (2 C,) per layer, the latter kept off zero."""
    layers = [torch.cat(layer) for layer in zip(*rows, strict=True)]
    spreads = [layer.std(0) for layer in layers]
    return [layer.mean(0) for layer in layers], [s.clamp(min=0.2 * float(s.median())) for s in spreads]


@dataclass
class Wanted:
    """What a batch of paintings should show."""

    content: list[Tensor]  # (B, C, h, w) per layer of CONTENT
    style: list[Tensor]  # (B, 2 C) per layer of COARSE, then of FINE
    styled: Tensor  # (B,) 1 where the style counts, 0 where the painting should be its photograph
    window: tuple[int, int]  # corner of the full-size window


def painting_terms(
    output: Tensor,
    wanted: Wanted,
    vgg: Vgg16,
    spreads: list[Tensor],
    names: Collection[str],
    unit: float = 1.0,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Unweighted losses of paintings (B, 3, H, W): those of content, style and fine that ``names`` holds; and
    their features by layer of COARSE. ``unit``: see :func:`content_features`."""
    terms, n = {}, len(COARSE)
    coarse = vgg(half(output), COARSE)
    if "content" in names:
        kept = zip(CONTENT, wanted.content, strict=True)
        content = [losses.content_loss(coarse[k].float() / unit, t) for k, t in kept]
        terms["content"] = torch.stack(content).mean()
    if "style" in names:
        per_layer = [
            share * losses.style_loss(coarse[k], t, s)
            for (k, share), t, s in zip(COARSE.items(), wanted.style[:n], spreads[:n], strict=True)
        ]  # (B,) each
        squared = torch.stack(per_layer).sum(0)
        # The root, a distance: a picture that is far from its style pulls no harder than one that is nearly there.
        terms["style"] = ((squared + 1e-6).sqrt() * wanted.styled).mean()
    if "fine" in names:
        y, x = wanted.window
        side = output.shape[-1] // 2
        fine = vgg(output[..., y : y + side, x : x + side], FINE)
        layers = zip(FINE, wanted.style[n:], spreads[n:], strict=True)
        per_layer = [losses.style_loss(fine[k], t, s) for k, t, s in layers]  # (B,) each
        terms["fine"] = (torch.stack(per_layer).mean(0) * wanted.styled).mean()
    return terms, coarse
