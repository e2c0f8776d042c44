"""``--polish N``: iterations on the pixels of one painting, until its texture is the style's.

One pass of the network is a good guess; what it cannot paint in one pass, the pixels can be asked for (Gatys et al.,
arXiv 1508.06576). The loss is that of :mod:`stylecli.paint.measure`, and the two faults that optimised pixels have:
grain and a lattice. Most iterations are at half size, where they are quick. Adam (arXiv 1412.6980) with a falling rate;
the result is the mean of the last iterates, as crowsonkb/style-transfer-pytorch has it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.models.texture import FeatureNetwork, Texture, halved, lattice
from stylecli.ops.luma import luma
from stylecli.paint.guidance import total_variation
from stylecli.paint.measure import apart, apart_at_half, structure_of
from stylecli.paint.progress import Progress

RATE = 0.02  # of Adam, in units of white
TEXTURE, CONTENT, GRAIN, SPECKLES, LATTICE = 1.5, 0.9, 0.3, 1.0, 2.0  # weights
HALF = 0.75  # share of the iterations at half size, which are quick
_MOMENTS = (0.9, 0.99)
_AVERAGE = 0.9  # of the iterates
_FALLING = 0.5  # share of the iterations in which the rate falls


def polish(
    painted: Tensor,
    photo: Tensor,
    style: Texture,
    network: FeatureNetwork,
    iterations: int,
    progress: Progress,
) -> Tensor:
    """A painting brought nearer to the texture of its style.

    Args:
        painted, photo: (B, 3, H, W) in 0..1, H, W >= 16, where ``network`` computes.
        style: what the style image's texture is, see :func:`stylecli.paint.measure.texture_of`.
        iterations: 20 change strokes, 60 are usual, beyond 150 little happens.
        progress: told the iteration, from 1, and its loss.

    Returns:
        (B, 3, H, W) in 0..1. The same on the same machine every time: nothing here is random.
    """
    with torch.inference_mode(False), torch.enable_grad():
        painted = painted.clone()  # what was computed in inference mode cannot take part
        structure = structure_of(network, photo.clone())
        early = round(HALF * iterations)
        if early:
            before = halved(painted)
            after = _descended(
                before,
                lambda x: _loss(x, *apart_at_half(network, x, style, structure)),
                range(1, early + 1),
                iterations,
                progress,
            )
            change = F.interpolate(after - before, painted.shape[2:], mode="bilinear")
            painted = (painted + change).clamp(0, 1)
        return _descended(
            painted,
            lambda x: _loss(x, *apart(network, x, style, structure)),
            range(early + 1, iterations + 1),
            iterations,
            progress,
        )


def _loss(pixels: Tensor, texture: Tensor, content: Tensor) -> Tensor:
    loss = TEXTURE * (texture + 1e-4).sqrt().mean() + CONTENT * content.mean()
    loss = loss + GRAIN * total_variation(pixels) + LATTICE * pixel_lattice(pixels)
    return loss + SPECKLES * total_variation(pixels - pixels.mean(1, keepdim=True))


def _descended(
    pixels: Tensor, loss: Callable[[Tensor], Tensor], some: range, iterations: int, progress: Progress
) -> Tensor:
    """Pixels after ``some`` of all iterations."""
    average = pixels.clone()
    pixels = pixels.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=RATE, betas=_MOMENTS)
    for iteration in some:
        left = (iterations - iteration + 1) / iterations
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, left / _FALLING)
        value = loss(pixels)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
            average.lerp_(pixels, 1 if iteration == some[0] else 1 - _AVERAGE)
        progress(iteration, float(value.detach()))
    return average


def pixel_lattice(image: Tensor) -> Tensor:
    """Of pictures (B, 3, H, W), mean over them: a scalar, 0..1. The period is the finest token's, 4 pixels."""
    return lattice(luma(image), 4, 1e-5).mean()
