"""What a cheaper auto-encoder learns from another: latents and pictures, so that it can take its place.

Knowledge distillation (arXiv 1503.02531). A StyleMamba that has learned in the latents of one auto-encoder need not
learn again: the new encoder gives the same latents, the new decoder the same pictures, of photographs and of paintings.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.registry import load_network
from stylecli.models.siglip import load_siglip
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.training.losses import pixel_terms
from stylecli.training.prompts import PROBE_CLASSES
from stylecli.training.sheet import PROMPTS


class Teacher:
    """An auto-encoder to learn from, and a StyleMamba that paints in its latents.

    Args:
        autoencoder, fusion, siglip: weights files of the three.
    """

    def __init__(self, autoencoder: Path, fusion: Path, siglip: Path, device: str):
        self.autoencoder = cast(Autoencoder, load_network(autoencoder, "autoencoder")).to(device)
        self.fusion = cast(StyleMamba, load_network(fusion, "style-mamba")).to(device)
        classes = [f"{name} style" for names in PROBE_CLASSES.values() for name in names]
        with torch.no_grad():
            embeddings = load_siglip(siglip).encode_text([*PROMPTS, *classes])
            self.codes = self.fusion.style_code(embeddings.to(device))  # (N, code)

    def terms(self, pupil: Autoencoder, image: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        """How far the pupil is from it on a batch of pictures (B, 3, H, W): unweighted losses."""
        with torch.no_grad():
            mean, log_variance = self.autoencoder.encoder(image)
            code = self.codes[rng.integers(0, len(self.codes), len(image))]
            latents = torch.cat([mean, self.fusion(mean, code, seed=int(rng.integers(2**31)))])
            wanted = self.autoencoder.decode(latents)
        own_mean, own_log_variance = pupil.encoder(image)
        return {
            **pixel_terms(pupil.decode(latents), wanted),
            "latent": (own_mean - mean).abs().mean(),
            "spread": (own_log_variance - log_variance).abs().mean(),
        }
