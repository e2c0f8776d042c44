"""``--refine N``: a stylizer whose network was adapted to the style it holds; adapted networks are kept and reused."""

from __future__ import annotations

import copy
import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stylecli.errors import InputError, UsageError
from stylecli.files.atomic import atomic_path
from stylecli.files.cache import cache_dir
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.paint.pixels import to_tensor
from stylecli.paint.progress import ProgressLog
from stylecli.paint.settings import fingerprint

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer

log = logging.getLogger(__name__)

_SIDE = 192  # of the pictures that a network is adapted on
_TEXTURE_SIDES = (288, 512)  # of those that it is adapted on to a style image
_REPORT_EVERY = 5
_TRAINED_RATE = 1e-4  # of a StyleMamba that paints already; at 5e-4 photographs vanish in 20 iterations

in_use: set[Path] = set()
"""Where the adapted networks are kept that this process paints with."""


def refined(stylizer: Stylizer, iterations: int, seed: int = 0) -> Stylizer:
    """``stylizer`` with its network adapted to the style in hand: a phrase (:mod:`stylecli.paint.adapt`) or a style
    image encoded with its texture (:mod:`stylecli.paint.adapt_texture`).

    It is adapted on photographs that stylecli draws itself, so that the result depends on style, weights, iterations
    and seed alone: it is kept in the cache under these, and serves every further picture.

    Raises UsageError where there is no style yet, or it came without its texture.
    """
    network, style = stylizer.network, stylizer.style
    if style is None:
        raise UsageError("refining needs a style first")
    by_phrase = isinstance(network, TextPainter)
    if not by_phrase and style.texture is None:
        raise UsageError(
            "this network learns a style from an image of it: drop --refine, or give it one (--style, and encode_style "
            "with texture); after a phrase stylemamba-s learns (--model)"
        )
    if by_phrase and not style.vector[:, network.vector_size :].any():
        raise UsageError("this network can be refined to a phrase only: for style images take stylerwkv-s")
    part = "fusion" if by_phrase else "decoder"
    trained = getattr(network, part)
    file = _place(stylizer, style.vector, iterations, seed)
    in_use.add(file)
    kept = _kept(file, trained.state_dict())
    if kept is None:
        adapted = (
            _adapt(stylizer, iterations, seed) if by_phrase else _adapt_image(stylizer, iterations, seed)
        )
        # As it will be read from the cache, so that the first picture is like all others.
        kept = {k: v.detach().cpu().half().contiguous() for k, v in adapted.state_dict().items()}
        _keep(kept, file)
    # All else is shared: a published auto-encoder has 300 MB.
    changed = copy.copy(network)
    changed._modules = dict(network._modules)
    module = copy.deepcopy(trained)
    module.load_state_dict(kept)
    setattr(changed, part, module)
    return replace(stylizer, network=changed)


def _adapt_image(stylizer: Stylizer, iterations: int, seed: int) -> nn.Module:
    from stylecli.paint.adapt_texture import adapt_to_texture

    style = stylizer.style
    assert style is not None and style.texture is not None and style.features is not None
    device = stylizer.device
    network = copy.deepcopy(stylizer.network).float()
    with torch.inference_mode(False), torch.enable_grad():
        return adapt_to_texture(
            network,
            style.vector.to(device).clone(),
            style.texture.to(device),
            style.features,
            [photo.to(device) for photo in _drawn(*_TEXTURE_SIDES)],
            iterations,
            seed,
            ProgressLog("refining", "texture loss", iterations, _REPORT_EVERY),
        )


def _adapt(stylizer: Stylizer, iterations: int, seed: int) -> nn.Module:
    from stylecli.models.siglip import Siglip
    from stylecli.paint.adapt import Refinement, refine

    assert stylizer.encoder is not None and stylizer.style is not None
    painter = copy.deepcopy(stylizer.network).float()
    assert isinstance(painter, TextPainter)
    encoder = copy.deepcopy(stylizer.encoder).to(stylizer.device)
    how = Refinement(iterations=iterations, seed=seed)
    if isinstance(encoder, Siglip):  # the papers' networks begin untrained, and have far to go
        how = replace(how, lr=_TRAINED_RATE)
    with torch.inference_mode(False):
        return refine(
            painter,
            encoder,
            torch.stack(_drawn(_SIDE)[:2]).to(stylizer.device),
            stylizer.style.vector.to(stylizer.device).clone(),
            how,
            ProgressLog("refining", "directional loss", iterations, _REPORT_EVERY),
        )


def _drawn(*sides: int) -> list[Tensor]:
    """Photographs drawn at several sizes, each (3, side, side) in 0..1."""
    from stylecli.samples import CONTENTS

    return [to_tensor(np.array(draw(side))) for side in sides for draw in CONTENTS.values()]


def _place(stylizer: Stylizer, style: Tensor, iterations: int, seed: int) -> Path:
    vector = hashlib.sha256(style.float().numpy().tobytes()).hexdigest()
    seen_by = stylizer.style.features.fingerprint if stylizer.style and stylizer.style.features else None
    made = {"style": vector, "features": seen_by, "refine": iterations, "seed": seed}
    name = fingerprint({**stylizer.settings, **made})
    return cache_dir() / "refined" / f"{name}.safetensors"


def _kept(file: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """What is in ``file``; None where it is not there, or not such tensors as ``wanted``: then it is made anew."""
    try:
        found = load_file(file)
    except (OSError, SafetensorError):
        return None
    if {name: value.shape for name, value in found.items()} != {k: v.shape for k, v in wanted.items()}:
        return None
    return found if all(torch.isfinite(value).all() for value in found.values()) else None


def _keep(tensors: dict[str, Tensor], file: Path) -> None:
    try:
        with atomic_path(file) as part:
            save_file(tensors, part)
    except (InputError, SafetensorError) as error:
        log.warning(f"the refined network cannot be kept ({error}): it will be made anew next time")
