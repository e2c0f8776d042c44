"""``--polish N``: iterations on the pixels of one painting, until its texture is the style's.

One pass of the network is a good guess; what it cannot paint in one pass, the pixels can be asked for. The loss sees
Gram matrices of the style feature network at two scales, the photograph's structure in its deepest map, and the two
faults that optimised pixels have: speckles of colour and a lattice. Adam (arXiv 1412.6980) with a falling rate; the
result is the mean of the last iterates, as crowsonkb/style-transfer-pytorch has it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.devices import has_fast_bf16
from stylecli.models.texture import Features, Texture, halved, instance_normalised, lattice
from stylecli.paint.guidance import total_variation
from stylecli.paint.photo import luma
from stylecli.paint.progress import Progress

RATE = 0.02  # of Adam, in units of white
CONTENT, GRAIN, SPECKLES, LATTICE = 1.0, 0.5, 1.0, 1.0  # weights beside the texture's 1
_MOMENTS = (0.9, 0.99)
_AVERAGE = 0.9  # of the iterates
_FALLING = 0.4  # share of the iterations in which the rate falls


def polish(
    painted: Tensor,
    photo: Tensor,
    style: Texture,
    features: Features,
    iterations: int,
    progress: Progress,
) -> Tensor:
    """A painting brought nearer to the texture of its style.

    Args:
        painted, photo: (B, 3, H, W) in 0..1, H, W >= 16, where ``features`` computes.
        style: what the style image's texture is.
        features: the style feature network; its last map says where things are.
        iterations: 20 change strokes, 60 are usual, beyond 150 little happens.
        progress: told the iteration, from 1, and its loss.

    Returns:
        (B, 3, H, W) in 0..1. The same on the same machine every time: nothing here is random.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # Clones: what was computed in inference mode cannot take part.
        return _polish(painted.clone(), photo.clone(), style, features, iterations, progress)


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
        texture = style.apart([*full, *half]).mean()
        content = F.mse_loss(instance_normalised(full[-1]), structure)
        loss = texture + CONTENT * content + GRAIN * total_variation(pixels) + LATTICE * pixel_lattice(pixels)
        loss = loss + SPECKLES * total_variation(pixels - pixels.mean(1, keepdim=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
            average.lerp_(pixels, 1 if iteration == 1 else 1 - _AVERAGE)
        progress(iteration, float(loss.detach()))
    return average


def pixel_lattice(image: Tensor) -> Tensor:
    """Of pictures (B, 3, H, W), mean over them: a scalar, 0..1. The period is the finest token's, 4 pixels."""
    return lattice(luma(image), 4, 1e-5).mean()


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Features in bfloat16 where that is fast: gradients need no more."""
    fast = device.type == "cuda" or (device.type == "cpu" and has_fast_bf16())
    return torch.autocast(device.type if fast else "cpu", torch.bfloat16, enabled=fast)
