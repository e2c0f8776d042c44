"""``--polish N``: iterations on the pixels of one painting, until its texture is the style's.

One pass of the network is a good guess; what it cannot paint in one pass, the pixels can be asked for. The loss sees
Gram matrices of the style feature network at two scales, the photograph's structure in its deepest map, and the two
faults that optimised pixels have: speckles of colour and a lattice. Adam (arXiv 1412.6980) with a falling rate; the
result is the mean of the last iterates, as crowsonkb/style-transfer-pytorch has it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.devices import has_fast_bf16
from stylecli.models.texture import (
    Features,
    Texture,
    halved,
    instance_normalised,
    lattice,
    total_variation,
)

log = logging.getLogger(__name__)

SMALLEST = 64  # pixels; smaller pictures have no texture to speak of
RATE = 0.02  # of Adam, in units of white
CONTENT, GRAIN, SPECKLES, LATTICE = 1.0, 0.5, 1.0, 1.0  # weights beside the texture's 1
_MOMENTS = (0.9, 0.99)
_AVERAGE = 0.9  # of the iterates
_FALLING = 0.4  # share of the iterations in which the rate falls
_REPORT_EVERY = 10

Progress = Callable[[int, float], None]
"""Told the iteration, from 1, and its loss."""


def polish(
    painted: Tensor,
    photo: Tensor,
    style: Texture,
    features: Features,
    iterations: int,
    progress: Progress | None = None,
) -> Tensor:
    """A painting brought nearer to the texture of its style.

    Args:
        painted, photo: (B, 3, H, W) in 0..1, H, W >= SMALLEST, where ``features`` computes.
        style: what the style image's texture is.
        features: the style feature network; its last map says where things are.
        iterations: 20 change strokes, 60 are usual, beyond 150 little happens.

    Returns:
        (B, 3, H, W) in 0..1. The same on the same machine every time: nothing here is random.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # Clones: what was computed in inference mode cannot take part.
        return _polish(
            painted.clone(), photo.clone(), style, features, iterations, progress or _Log(iterations)
        )


def _polish(
    painted: Tensor, photo: Tensor, style: Texture, features: Features, iterations: int, progress: Progress
) -> Tensor:
    pixels = painted.requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=RATE, betas=_MOMENTS)
    with torch.no_grad(), precision(photo.device):
        structure = instance_normalised(features(photo)[-1])
    average = painted.detach().clone()
    for iteration in range(1, iterations + 1):
        left = (iterations - iteration + 1) / iterations
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, left / _FALLING)
        with precision(photo.device):
            full, half = features(pixels), features(halved(pixels))
        texture = Texture.of_maps([*full, *half]).distance(style).mean()
        content = F.mse_loss(instance_normalised(full[-1]), structure)
        loss = texture + CONTENT * content + GRAIN * total_variation(pixels) + LATTICE * lattice(pixels)
        loss = loss + SPECKLES * total_variation(pixels - pixels.mean(1, keepdim=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
            average.lerp_(pixels, 1 if iteration == 1 else 1 - _AVERAGE)
        progress(iteration, float(loss.detach()))
    return average


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Features in bfloat16 where that is fast: gradients need no more."""
    fast = device.type == "cuda" or (device.type == "cpu" and has_fast_bf16())
    return torch.autocast(device.type if fast else "cpu", torch.bfloat16, enabled=fast)


class _Log:
    """Tells how far it is: iteration, loss, seconds for each and left."""

    def __init__(self, iterations: int):
        self.iterations, self.begun = iterations, time.monotonic()

    def __call__(self, iteration: int, loss: float) -> None:
        if iteration % _REPORT_EVERY == 0 or iteration in (1, self.iterations):
            each = (time.monotonic() - self.begun) / iteration
            left = each * (self.iterations - iteration)
            log.info(
                f"polishing: {iteration} of {self.iterations}, loss {loss:.2f}, {each:.2f} s each, {left:.0f} s left"
            )
