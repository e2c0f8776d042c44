"""Training of the feature network that style is measured by: it learns to see what VGG-16 sees.

Distillation, with a purpose: the network is to be a loss, so it must be right about pictures that were made to please
it. A quarter of each batch are such: a pool of pictures, each of which takes one step, whenever it is drawn, by the
network's own gradient towards the texture of an artwork; and the network learns what VGG-16 says of the picture
before, of the picture after, and of the difference. Another quarter differs likewise by noise, blur or a lattice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from stylecli.errors import UsageError
from stylecli.metrics.vgg import Vgg16
from stylecli.models.style_features.config import StyleFeaturesConfig
from stylecli.models.style_features.model import StyleFeatures
from stylecli.models.texture import Texture
from stylecli.training.data import centre_square, list_images, read_rgb, to_bytes
from stylecli.training.disturb import blended, chosen, cropped, draw, recoloured, spoiled
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import COARSE
from stylecli.training.recipe import Recipe
from stylecli.training.tasks.crops import check_side
from stylecli.training.tasks.task import Release, TrainingTask

_LAYERS = list(COARSE)
_UNIT_BATCHES = 12


@dataclass(frozen=True)
class Data:
    """Folders of photographs, of artworks, and of more of these, and VGG-16's weights."""

    content: tuple[str, ...]
    style: tuple[str, ...]
    more: tuple[str, ...] = ()
    vgg: str = "vgg16"


@dataclass(frozen=True)
class Crops:
    """Side of crops in pixels (a multiple of 8), of the squares that are kept of pictures, and the range of what a
    crop shows, as a share of a square's side."""

    size: int = 160
    kept: int = 288
    shares: tuple[float, float] = (0.5, 1.0)


@dataclass(frozen=True)
class Pool:
    """Pictures that follow the network's gradient: how many, how many steps one takes on average, and the range of
    a step, in 255ths."""

    size: int = 240
    steps: float = 24.0
    step: tuple[float, float] = (0.5, 8.0)


@dataclass(frozen=True)
class Losses:
    """Weights: maps place by place; differences of maps of two pictures; textures, roots of their squares."""

    places: float = 1.0
    changes: float = 0.5
    textures: float = 0.4


@dataclass(frozen=True)
class Settings:
    data: Data
    crops: Crops = field(default_factory=Crops)
    pool: Pool = field(default_factory=Pool)
    losses: Losses = field(default_factory=Losses)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": StyleFeaturesConfig})


class _Pictures:
    """Squares in the middle of pictures, bytes on a device."""

    def __init__(self, folders: Sequence[Path], side: int, device: torch.device):
        with ThreadPoolExecutor() as threads:
            read = threads.map(lambda p: to_bytes(centre_square(read_rgb(p), side)), list_images(folders))
            self.bytes = torch.stack(list(read)).to(device)

    def draw(self, g: Generator, count: int) -> Tensor:
        """Numbers of ``count`` of them."""
        return torch.randint(len(self.bytes), (count,), generator=g, device=g.device)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """(n, 3, side, side) in 0..1."""
        return self.bytes[numbers].float() / 255


class StyleFeaturesTask(TrainingTask):
    """A run that is resumed fills its pool anew: other random numbers, of the same kind."""

    settings = Settings
    shares_batch = False

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        how: Crops = self.own.crops
        check_side(recipe, how.size, 8)
        if recipe.batch % 4:
            raise UsageError(f"{recipe.name}: batch = {recipe.batch}: must be a multiple of 4")
        device, data = worker.device, self.own.data
        self.contents = _Pictures(recipe.paths(data.content), how.kept, device)
        self.styles = _Pictures(recipe.paths((*data.style, *data.more)), how.kept, device)
        self.vgg = Vgg16(recipe.weights(data.vgg)).to(device)
        config, known = self.start("style-features", StyleFeaturesConfig())
        self.model = self.module = StyleFeatures(config).to(device)
        self.load(self.model, known)
        self.generator = torch.Generator(device)
        self.units = self._units()
        for i, unit in enumerate(self.units):
            getattr(self.model, f"unit{i}").copy_(unit.flatten())
        g = self._random(-2)
        size = self.own.pool.size
        self.pool = torch.cat([self._fresh(g, n) for n in _parts(size, recipe.batch)])
        self.towards = self.styles.draw(g, size)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """New pictures (B / 2, 3, size, size), the second half of them spoiled ones of the first; some of the pool,
        (B / 4, 3, size, size), and where they are in it."""
        g, quarter = self._random(step), self.recipe.batch // 4
        fresh = self._fresh(g, quarter)
        places = torch.rand(len(self.pool), generator=g, device=g.device).argsort()[:quarter]
        renewed = chosen(g, quarter, 1 / self.own.pool.steps) > 0
        self.towards[places] = torch.where(
            renewed.flatten(), self.styles.draw(g, quarter), self.towards[places]
        )
        return torch.cat([fresh, spoiled(fresh, g)]), torch.where(renewed, fresh, self.pool[places]), places

    def terms(self, batch: tuple[Tensor, Tensor, Tensor], step: int) -> dict[str, Tensor]:
        new, before, places = batch
        quarter = len(before)
        before = before.clone().requires_grad_()
        seen_before = self.model.even(before)
        after = self._stepped(before, seen_before, places, self._random(step + self.recipe.steps))
        before = before.detach()
        seen_rest = self.model.even(torch.cat([after, new]))
        with torch.no_grad():
            found = self.vgg(torch.cat([before, after, new]), _LAYERS)
        wanted = [found[name].float() / unit for name, unit in zip(_LAYERS, self.units, strict=True)]
        seen = [torch.cat([a, b]).float() for a, b in zip(seen_before, seen_rest, strict=True)]
        with torch.autocast(self.worker.device.type, enabled=False):
            pairs = list(zip(seen, wanted, strict=True))
            return {
                "places": torch.stack([(s - w).square().mean() / w.square().mean() for s, w in pairs]).mean(),
                "changes": torch.stack([_change(s, w, quarter) for s, w in pairs]).mean(),
                "textures": (Texture.of(self._natural(wanted)).apart(self._natural(seen)) + 1e-6)
                .sqrt()
                .mean(),
            }

    def releases(self, averaged: nn.Module) -> list[Release]:
        return [Release(averaged.state_dict(), self.model.config.to_json(), ("",))]

    def _stepped(self, before: Tensor, seen: list[Tensor], places: Tensor, g: Generator) -> Tensor:
        """The pictures one step nearer to their artworks' texture, as the network sees it; kept in the pool."""
        B = len(before)
        with torch.autocast(self.worker.device.type, enabled=False):  # places in eight bits would be coarse
            styles = cropped(self.styles[self.towards[places]], g, before.shape[-1], 0.66, 0.67)
        with torch.no_grad():
            right = self.model.even(styles)
        with torch.autocast(self.worker.device.type, enabled=False):
            apart = Texture.of(self._natural(right)).apart(self._natural(seen)).sum()
        (gradient,) = torch.autograd.grad(apart, before, retain_graph=True)
        gradient = gradient.float()
        rms = gradient.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-12
        direction = torch.where(chosen(g, B, 0.5) > 0, gradient.sign(), gradient / rms)
        least, most = map(math.log, self.own.pool.step)
        length = draw(g, B, least, most).exp() / 255
        after = (before.detach() - length * direction).clamp(0, 1)
        self.pool[places] = after
        return after

    def _natural(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [x.float() * unit for x, unit in zip(maps, self.model.units, strict=True)]

    def _fresh(self, g: Generator, count: int) -> Tensor:
        """Photographs, artworks, and what lies between: (count, 3, size, size)."""
        how: Crops = self.own.crops
        photographs = self.contents[self.contents.draw(g, count)]
        artworks, others = (self.styles[self.styles.draw(g, count)] for _ in range(2))
        first = torch.where(chosen(g, count, 0.4) > 0, photographs, artworks)
        a, b = (cropped(x, g, how.size, *how.shares) for x in (first, others))
        return recoloured(blended(a, b, g), g)

    @torch.no_grad()
    def _units(self) -> list[Tensor]:
        """Root mean square of every channel of VGG-16's over some pictures, (1, C, 1, 1) a map."""
        sums: list[Tensor] = []
        for i in range(_UNIT_BATCHES):
            pictures = self._fresh(self._random(-3 - i), self.recipe.batch)
            with self.worker.precision():
                found = self.vgg(pictures, _LAYERS)
            squares = [found[name].float().square().mean((0, 2, 3), keepdim=True) for name in _LAYERS]
            sums = [a + b for a, b in zip(sums, squares, strict=True)] if sums else squares
        return [(s / _UNIT_BATCHES).sqrt() + 1e-3 * (s / _UNIT_BATCHES).mean().sqrt() for s in sums]

    def _random(self, step: int) -> Generator:
        return self.generator.manual_seed(self.recipe.seed * 10_000_019 + step + 1000)


def _change(seen: Tensor, wanted: Tensor, quarter: int) -> Tensor:
    """How far changes from the first quarter to the second and from the third to the last are from the right ones, in
    squares of these."""
    found, right = (
        torch.cat([first - second, third - fourth])
        for first, second, third, fourth in (x.split(quarter) for x in (seen, wanted))
    )
    size = right.square().mean((1, 2, 3)) + 0.01 * wanted.square().mean()
    return ((found - right).square().mean((1, 2, 3)) / size).mean()


def _parts(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]
