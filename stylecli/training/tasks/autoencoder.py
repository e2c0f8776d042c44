"""Training of the KL auto-encoder on folders of pictures of any kind.

Loss: absolute difference of pixels and of their differences to neighbours (sharp edges), and a light KL term
(arXiv 1312.6114; weight as in arXiv 2112.10752) that keeps latents near N(0, 1), where StyleMamba works.

With a teacher it learns latents and pictures of another auto-encoder instead, of photographs and of paintings, so that
a cheaper one can take its place and StyleMamba need not learn again (distillation, arXiv 1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from stylecli.errors import UsageError
from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.registry import load_network
from stylecli.models.siglip import load_siglip
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.style_code import StyleCode
from stylecli.training.data import ContentCrops, centre_square, generator, list_images, read_rgb, to_tensor
from stylecli.training.losses import pixel_terms
from stylecli.training.parallel import Worker
from stylecli.training.prompts import PROBE_CLASSES
from stylecli.training.recipe import Recipe
from stylecli.training.tasks.crops import check_side
from stylecli.training.tasks.task import Release, TrainingTask

_STYLES = 64  # that a teacher paints in
_FIRST = 300  # crops whose principal components it begins with


@dataclass(frozen=True)
class Data:
    """Folders of pictures, those whose PSNR is measured, and the weights of a teacher: an auto-encoder, and the
    StyleMamba and text-image encoder that paint in its latents."""

    images: tuple[str, ...]
    val: tuple[str, ...] = ()
    teacher: str = ""
    fusion: str = "stylemamba-s"
    siglip: str = "siglip-s"


@dataclass(frozen=True)
class Crops:
    """Side of a crop in pixels, a multiple of 4."""

    size: int = 96


@dataclass(frozen=True)
class Losses:
    """Weights. ``kl`` is of a run without a teacher, ``latent`` and ``spread`` are of one with."""

    absolute: float = 1.0
    edges: float = 1.0
    kl: float = 1e-4
    latent: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True)
class Settings:
    data: Data
    crops: Crops = field(default_factory=Crops)
    losses: Losses = field(default_factory=Losses)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": AutoencoderConfig})


class Teacher:
    """An auto-encoder to learn from, and a StyleMamba that paints in its latents."""

    def __init__(self, recipe: Recipe, data: Data, device: torch.device):
        self.autoencoder = cast(Autoencoder, load_network(recipe.weights(data.teacher), "autoencoder")).to(
            device
        )
        self.fusion = cast(StyleMamba, load_network(recipe.weights(data.fusion), "style-mamba")).to(device)
        with torch.no_grad():
            if isinstance(self.fusion.code, StyleCode):
                styles = self.fusion.code.random_styles(_STYLES, generator(recipe.seed))
            else:
                classes = [f"{name} style" for names in PROBE_CLASSES.values() for name in names]
                styles = load_siglip(recipe.weights(data.siglip)).encode_text(classes)
            self.codes = self.fusion.style_code(styles.to(device))  # (N, code)

    def terms(self, pupil: Autoencoder, image: Tensor, chosen: list[int], seed: int) -> dict[str, Tensor]:
        """How far the pupil is from it on pictures (B, 3, H, W), plain and painted in the chosen codes."""
        with torch.no_grad():
            mean, log_variance = self.autoencoder.encoder(image)
            latents = torch.cat([mean, self.fusion(mean, self.codes[chosen], seed=seed)])
            wanted = self.autoencoder.decode(latents)
        own_mean, own_log_variance = pupil.encoder(image)
        return {
            **pixel_terms(pupil.decode(latents), wanted),
            "latent": (own_mean - mean).abs().mean(),
            "spread": (own_log_variance - log_variance).abs().mean(),
        }


@torch.no_grad()
def psnr(output: Tensor, image: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels of pictures in 0..1."""
    return float(-10 * (output.clamp(0, 1) - image).square().mean().clamp(min=1e-10).log10())


class AutoencoderTask(TrainingTask):
    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        size, data = self.own.crops.size, self.own.data
        check_side(recipe, size, 4)
        other = {"latent", "spread"} if not data.teacher else {"kl"}
        for name in other & self.weights.keys():
            raise UsageError(
                f"{recipe.name}: losses.{name}: not with{'' if data.teacher else 'out'} data.teacher"
            )
        self.crops = ContentCrops(list_images(recipe.paths(data.images)), size)
        self.val = list_images(recipe.paths(data.val)) if data.val else []
        config, self.known = self.start("autoencoder", AutoencoderConfig())
        self.model = self.module = Autoencoder(config).to(worker.device)
        self.teacher = Teacher(recipe, data, worker.device) if data.teacher else None
        if self.teacher:
            self.model.encoder.requires_grad_(bool({"latent", "spread"} & self.weights.keys()))

    def begin(self) -> None:
        if self.known:  # what it has no part for is left out
            self.load(self.model, {k: v for k, v in self.known.items() if k in self.model.state_dict()})
        else:
            chosen = generator(self.recipe.seed).integers(0, len(self.crops), _FIRST).tolist()
            self.model.begin_with(torch.stack([self.crops[i] for i in chosen]).to(self.worker.device))

    def terms(self, batch: None, step: int) -> dict[str, Tensor]:
        rngs = [generator(self.recipe.seed, step, place) for place in self.worker.places(self.recipe.batch)]
        image = torch.stack([self.crops[int(r.integers(len(self.crops)))] for r in rngs]).to(
            self.worker.device
        )
        if self.teacher:
            chosen = [int(r.integers(len(self.teacher.codes))) for r in rngs]
            return self.teacher.terms(self.model, image, chosen, seed=step)
        mean, log_variance = self.model.encoder(image)
        noise = np.stack([r.standard_normal(mean.shape[1:], np.float32) for r in rngs])
        output = self.model.decoder(mean + torch.from_numpy(noise).to(mean) * (0.5 * log_variance).exp())
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return {**pixel_terms(output, image), "kl": kl}

    def releases(self, averaged: nn.Module) -> list[Release]:
        assert isinstance(averaged, Autoencoder)
        scores = []
        for path in self.val:
            image = to_tensor(centre_square(read_rgb(path), 512))[None].to(self.worker.device)
            scores.append(psnr(averaged.decode(averaged.encode(image)), image))
        measured = {"psnr": round(float(np.mean(scores)), 2)} if scores else {}
        return [Release(averaged.state_dict(), averaged.config.to_json(), measured=measured)]
