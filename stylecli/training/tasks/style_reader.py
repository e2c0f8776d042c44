"""Training of StyleRWKV's style feature network: it learns to see what VGG-16 sees in a style.

Distillation: on crops of styles and photographs, its feature maps should be VGG-16's relu3_3 and relu4_3, place by
place, and so should their means and standard deviations, which are all that painting uses. Colours are changed at
random: the teacher answers for any picture, and styles of users are more colourful than a folder of paintings.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from stylecli.metrics.statistics import statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.models.packing import EVERYTHING
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.ops.luma import luma
from stylecli.training.data import (
    generator,
    list_images,
    random_square,
    read_rgb,
    resize_short_side,
    to_tensor,
)
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import mean_and_spread
from stylecli.training.recipe import Recipe
from stylecli.training.tasks.crops import check_side
from stylecli.training.tasks.task import Release, TrainingTask

LAYERS = ("3_3", "4_3")


@dataclass(frozen=True)
class Data:
    """Folders of pictures, styles above all, and VGG-16's weights."""

    images: tuple[str, ...]
    vgg: str = "vgg16"


@dataclass(frozen=True)
class Crops:
    """Sides of crops in pixels (a multiple of 8), the range of the short side of pictures that they are taken from,
    and how many of them units and spreads are measured on."""

    size: int = 160
    short: tuple[int, int] = (224, 330)
    samples: int = 400


@dataclass(frozen=True)
class Losses:
    """Weights: maps place by place, and their means and deviations."""

    places: float = 1.0
    statistics: float = 1.0


@dataclass(frozen=True)
class Settings:
    data: Data
    crops: Crops = field(default_factory=Crops)
    losses: Losses = field(default_factory=Losses)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": StyleRwkvConfig})


class RandomCrops:
    """Random crops of pictures that are decoded once; what a crop is depends on its generator alone."""

    def __init__(self, paths: list[Path], how: Crops):
        self.paths, self.how = paths, how
        self._kept: dict[int, Image.Image] = {}

    def __call__(self, rng: np.random.Generator) -> Tensor:
        """(3, size, size) in 0..1."""
        size, (least, most) = self.how.size, self.how.short
        index = int(rng.integers(len(self.paths)))
        if index not in self._kept:
            image = read_rgb(self.paths[index])
            self._kept[index] = resize_short_side(image, most) if min(image.size) > most else image
        image = resize_short_side(self._kept[index], max(size, int(rng.integers(least, most + 1))))
        tensor = to_tensor(random_square(image, size, rng))
        return recoloured(tensor.flip(-1) if rng.random() < 0.5 else tensor, rng)


def recoloured(image: Tensor, rng: np.random.Generator) -> Tensor:
    """(3, H, W) with another saturation and contrast, half of the time, and sometimes with its colours exchanged."""
    if rng.random() < 0.15:
        image = image[torch.from_numpy(rng.permutation(3))]
    if rng.random() < 0.5:
        return image
    grey = luma(image[None])[0]
    image = torch.lerp(grey.expand_as(image), image, float(np.exp(rng.uniform(-0.8, 0.6))))
    return torch.lerp(grey.mean().expand_as(image), image, float(np.exp(rng.uniform(-0.4, 0.5)))).clamp(0, 1)


class Teacher:
    """VGG-16's feature maps, every channel in units of its root mean square over ``samples`` crops."""

    def __init__(
        self,
        vgg: Vgg16,
        crops: Callable[[np.random.Generator], Tensor],
        samples: int,
        precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ):
        self.vgg, device = vgg, vgg.mean.device
        self.units = [torch.ones((), device=device) for _ in LAYERS]
        first = []
        for i in range(samples):
            image = crops(generator(1, i))[None].to(device)  # as in a step: drawn in float32
            with precision():
                first.append(self(image))
        squares = [torch.stack([seen[i].square().mean((0, 2, 3)) for seen in first]).mean(0) for i in (0, 1)]
        units = [(s.sqrt() + 1e-3 * s.sqrt().mean())[:, None, None] for s in squares]
        described = ([statistics(x / u) for x, u in zip(seen, units, strict=True)] for seen in first)
        means, spreads = mean_and_spread(described)
        self.units, self.mean, self.spread = units, torch.cat(means), torch.cat(spreads)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[Tensor]:
        seen = self.vgg(images, LAYERS)
        return [seen[n].float() / u for n, u in zip(LAYERS, self.units, strict=True)]


class StyleReaderTask(TrainingTask):
    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        how: Crops = self.own.crops
        check_side(recipe, how.size, 8)
        self.crops = RandomCrops(list_images(recipe.paths(self.own.data.images)), how)
        vgg = Vgg16(recipe.weights(self.own.data.vgg)).to(worker.device)
        self.teacher = Teacher(vgg, self.crops, how.samples, worker.precision)
        config, known = self.start("style-rwkv", StyleRwkvConfig())
        self.model = StyleRwkv(config).to(worker.device)
        self.load(self.model, known)
        self.reader = self.module = self.model.reader
        self.reader.mean.copy_(self.teacher.mean)
        self.reader.spread.copy_(self.teacher.spread)

    def batch(self, step: int) -> Tensor:
        places = self.worker.places(self.recipe.batch)
        drawn = [self.crops(generator(self.recipe.seed, step, place)) for place in places]
        return torch.stack(drawn).to(self.worker.device)

    def terms(self, images: Tensor, step: int) -> dict[str, Tensor]:
        wanted = self.teacher(images)
        seen = self.reader.features(images.contiguous(memory_format=torch.channels_last))
        guess = [maps.float() for maps in seen]
        found, right = (torch.cat([statistics(x) for x in maps], 1) for maps in (guess, wanted))
        spread = self.teacher.spread
        return {
            "places": torch.stack([F.mse_loss(g, w) for g, w in zip(guess, wanted, strict=True)]).mean(),
            "statistics": F.huber_loss(found / spread, right / spread, delta=2.0),
        }

    def releases(self, averaged: nn.Module) -> list[Release]:
        """A whole StyleRWKV, of which the reader is new."""
        whole = self.model.state_dict() | {f"reader.{k}": v for k, v in averaged.state_dict().items()}
        return [Release(whole, self.model.config.to_json(), EVERYTHING)]
