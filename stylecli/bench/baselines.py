"""Two well-known methods in their simplest form, as points of reference for quality. Neither is fast: both are carried
out by changing pixels until VGG-16 sees what it should (Adam, from the photograph).

- Gatys et al. (arXiv 1508.06576): the photograph's features at one layer, the style's Gram matrices at several.
- AdaIN (Huang and Belongie, arXiv 1703.06868): the photograph's relu4_1 features with the style's channel means and
  standard deviations. The paper trains a decoder for them; here they are inverted instead (own decision), which needs
  no weights of anybody and gives what a perfect decoder would.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.metrics.statistics import gram, instance_normalised
from stylecli.metrics.vgg import Vgg16
from stylecli.ops.overridable import mean_std
from stylecli.paint.guidance import total_variation

_STYLE = ("1_1", "2_1", "3_1", "4_1")
_CONTENT = "4_2"
_ADAIN = "4_1"


def gatys(vgg: Vgg16, photo: Tensor, style: Tensor, iterations: int = 150, weight: float = 3e3) -> Tensor:
    """Photograph and style (1, 3, H, W) in 0..1 to a painting (1, 3, H, W) in 0..1."""
    with torch.no_grad():
        content = vgg(photo, (_CONTENT,))[_CONTENT]
        grams = {name: gram(f) for name, f in vgg(style, _STYLE).items()}

    def loss(image: Tensor) -> Tensor:
        features = vgg(image, (*_STYLE, _CONTENT))
        distances = [F.mse_loss(gram(features[n]), g) / g.square().mean() for n, g in grams.items()]
        kept = F.mse_loss(features[_CONTENT], content) / content.square().mean()
        return kept + weight / 1e3 * torch.stack(distances).mean() + 0.1 * total_variation(image)

    return _optimised(photo, loss, iterations)


def adain(vgg: Vgg16, photo: Tensor, style: Tensor, iterations: int = 150) -> Tensor:
    """The same, by matching AdaIN's target features."""
    with torch.no_grad():
        content, wanted = (vgg(image, (_ADAIN,))[_ADAIN] for image in (photo, style))
        mean, std = mean_std(wanted)
        target = instance_normalised(content) * std + mean

    def loss(image: Tensor) -> Tensor:
        return F.mse_loss(vgg(image, (_ADAIN,))[_ADAIN], target) / target.square().mean() + 0.1 * (
            total_variation(image)
        )

    return _optimised(photo, loss, iterations)


def _optimised(photo: Tensor, loss: Callable[[Tensor], Tensor], iterations: int) -> Tensor:
    image = photo.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.02)
    for _ in range(iterations):
        optimizer.zero_grad()
        loss(image).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
    return image.detach()
