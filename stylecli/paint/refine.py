"""``--refine N``: a stylizer whose network was adapted to the phrase it holds; adapted networks are kept and reused."""

from __future__ import annotations

import copy
import hashlib
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from stylecli.errors import InputError, UsageError
from stylecli.files.atomic import atomic_path
from stylecli.files.cache import cache_dir
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.paint.options import fingerprint
from stylecli.paint.pixels import to_tensor

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer

log = logging.getLogger(__name__)

_SIDE = 192  # of the pictures that a network is adapted on
_REPORT_EVERY = 5


def refined(stylizer: Stylizer, iterations: int, seed: int = 0) -> Stylizer:
    """``stylizer`` with its network adapted to the phrase in hand (:func:`stylecli.paint.adapt.refine`).

    It is adapted on photographs that stylecli draws itself, so that the result depends on phrase, weights, iterations
    and seed alone: it is kept in the cache under these, and serves every further picture.

    Raises UsageError where the network is not guided by text.
    """
    if stylizer.encoder is None or stylizer.style is None or not isinstance(stylizer.network, TextPainter):
        raise UsageError("only a network that is guided by text can be refined, and it needs a prompt first")
    file = _place(stylizer, stylizer.style.statistics, iterations, seed)
    kept = _kept(file, stylizer.network.fusion.state_dict())
    if kept is None:
        kept = _adapt(stylizer, iterations, seed)
        _keep(kept, file)
    network = stylizer.network
    fusion = copy.deepcopy(network.fusion)
    fusion.load_state_dict(kept)
    # All else is shared: a published auto-encoder has 300 MB.
    return replace(stylizer, network=TextPainter(fusion, network.autoencoder, network.photograph))


def _adapt(stylizer: Stylizer, iterations: int, seed: int) -> dict[str, Tensor]:
    from stylecli.paint.adapt import Refinement, refine

    assert stylizer.encoder is not None and stylizer.style is not None
    begun = time.monotonic()

    def tell(iteration: int, loss: float) -> None:
        if iteration % _REPORT_EVERY == 0 or iteration in (1, iterations):
            left = (time.monotonic() - begun) / iteration * (iterations - iteration)
            log.info(f"refining: {iteration} of {iterations}, directional loss {loss:.3f}, {left:.0f} s left")

    painter = copy.deepcopy(stylizer.network).float()
    assert isinstance(painter, TextPainter)
    encoder = copy.deepcopy(stylizer.encoder).to(stylizer.device)
    with torch.inference_mode(False):
        fusion = refine(
            painter,
            encoder,
            _photographs().to(stylizer.device),
            stylizer.style.statistics.to(stylizer.device).clone(),
            Refinement(iterations=iterations, seed=seed),
            tell,
        )
    # As it will be read from the cache, so that the first picture is like all others.
    return {k: v.detach().cpu().half().contiguous() for k, v in fusion.state_dict().items()}


def _photographs() -> Tensor:
    """(2, 3, S, S) in 0..1."""
    from stylecli.samples import CONTENTS

    drawn = [np.array(draw(_SIDE)) for draw in list(CONTENTS.values())[:2]]
    return to_tensor(np.stack(drawn))


def _place(stylizer: Stylizer, style: Tensor, iterations: int, seed: int) -> Path:
    phrase = hashlib.sha256(style.float().numpy().tobytes()).hexdigest()
    name = fingerprint({**stylizer.settings, "phrase": phrase, "refine": iterations, "seed": seed})
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
