"""``--refine N`` with a style image: some iterations that adapt a network's decoder to the texture of one style.

What a network paints of every style in one pass is a compromise between thousands; for one style it learns in a minute
what the compromise lacks, and then every photograph and frame is one pass again. Texture at two scales, the
photograph's structure, and the lattice, as in training (docs/training.md); Adam on crops of photographs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from stylecli.models.texture import FeatureNetwork, Texture
from stylecli.paint.guidance import total_variation
from stylecli.paint.measure import apart, precision, structure_of
from stylecli.paint.polish import pixel_lattice
from stylecli.paint.progress import Progress

CROP, BATCH = 256, 2  # pixels, crops for each iteration
RATE = 5e-4  # of Adam
TEXTURE, CONTENT, GRAIN, LATTICE = 1.5, 0.9, 0.3, 2.0  # weights
_WARM, _FALLING = 10, 0.4  # iterations in which the rate rises; share in which it falls
_MOMENTS = (0.9, 0.99)


def adapt_to_texture(
    network: nn.Module,
    style: Tensor,
    texture: Texture,
    features: FeatureNetwork,
    photos: Sequence[Tensor],
    iterations: int,
    seed: int,
    progress: Progress,
) -> nn.Module:
    """The network's decoder, adapted to one style.

    Args:
        network: in float32, with ``decoder`` and ``paint``; stays as it is.
        style: (1, S) its vector. texture: what its image's texture is. features: what that is measured by.
        photos: pictures (3, H, W) in 0..1, H, W >= CROP, to learn on.
        progress: told the iteration, from 1, and the texture's distance.

    Returns:
        A copy of the decoder. The same seed gives the same on the same machine.
    """
    student = copy.deepcopy(network).requires_grad_(False)
    decoder: nn.Module = student.decoder.requires_grad_(True)  # type: ignore[assignment,operator]
    parameters = list(decoder.parameters())
    optimizer = torch.optim.Adam(parameters, lr=RATE, betas=_MOMENTS)
    rng = np.random.default_rng(seed)
    for iteration in range(1, iterations + 1):
        left = (iterations - iteration + 1) / iterations
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, iteration / _WARM, left / _FALLING)
        crops = torch.stack([_crop(photos, rng) for _ in range(BATCH)])
        with precision(crops.device):
            output = student.paint(crops, style, 1.0, seed + iteration).float()  # type: ignore[operator]
        distance, content = apart(features, output, texture, structure_of(features, crops))
        loss = TEXTURE * (distance + 1e-4).sqrt().mean() + CONTENT * content.mean()
        loss = loss + GRAIN * total_variation(output) + LATTICE * pixel_lattice(output)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError("the loss is no number")
        progress(iteration, float(distance.detach().mean()))
    return decoder.requires_grad_(False)


def _crop(photos: Sequence[Tensor], rng: np.random.Generator) -> Tensor:
    """A square (3, CROP, CROP) of one of the photographs, mirrored half of the time."""
    photo = photos[int(rng.integers(len(photos)))]
    y, x = (int(rng.integers(n - CROP + 1)) for n in photo.shape[1:])
    crop = photo[:, y : y + CROP, x : x + CROP]
    return crop.flip(-1) if rng.random() < 0.5 else crop
