"""Training of StyleRWKV on folders of photographs and of styles.

One step: a batch of photograph crops and style crops, at every other step one picture painted with its own style
(identity), VGG-16 losses at two scales. The output at half size gives content and coarse style, so that strokes are
wide enough to be seen; a window of the output at full size gives the fine texture. What VGG-16 says of the (fixed)
content crops and of the styles is computed once and kept. Losses of texture come from the style reader's feature maps
(:mod:`stylecli.training.texture`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.metrics.vgg import Vgg16
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import READING, StyleRwkv
from stylecli.paint import guidance
from stylecli.training import losses
from stylecli.training.data import ContentCrops, StyleImages, draw, generator, list_images
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import (
    COARSE,
    Wanted,
    content_features,
    half,
    mean_and_spread,
    painting_terms,
    style_statistics,
)
from stylecli.training.recipe import Recipe
from stylecli.training.sheet import write_sheet
from stylecli.training.strokes import Strokes
from stylecli.training.tasks.crops import Crops
from stylecli.training.tasks.task import Release, Task
from stylecli.training.texture import TEXTURE, Painted, TextureSettings, TextureTerms

_SOME = 200  # styles that stand for all
_VGG = {"content", "style", "fine", "identity_features", "strokes"}  # losses that need it


@dataclass(frozen=True)
class Data:
    """Folders of photographs and of styles, those of the contact sheets, and VGG-16's weights.

    ``more``: folders of further styles, of which every ``more_every``-th file counts; a style is drawn from them with
    the probability ``more_share``. What is measured over many styles comes from the first ones.
    ``vgg_unit``: what VGG-16's maps are divided by for ``content``, see :func:`content_features`.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    more: tuple[str, ...] = ()
    more_every: int = 1
    more_share: float = 0.4
    val_content: str = ""
    val_style: str = ""
    vgg: str = "vgg16"
    vgg_unit: float = 1.0


@dataclass(frozen=True)
class StyleCrops(Crops):
    """``style``: side of the square of a style, which is nearly all of it, in pixels; ``seen``: the side at which
    VGG-16 sees it (0: the same). ``centred``: the square has all of the short side. ``mirrored``: half of the
    styles are."""

    style: int = 256
    seen: int = 0
    centred: bool = False
    mirrored: bool = True


@dataclass(frozen=True)
class Painting:
    """``guided``: share of steps in which styles are painted beyond themselves, as in use (StyleRwkv.guided)."""

    guided: float = 0.0


@dataclass(frozen=True)
class Losses:
    """Weights. 0: not computed."""

    content: float = 0.5
    style: float = 2.0
    fine: float = 0.5
    identity: float = 1.0
    identity_features: float = 0.2
    tv: float = 0.02
    lattice: float = 0.0
    # Of feature maps of the style reader, see stylecli/training/texture.py.
    gram: float = 0.0
    sliced: float = 0.0
    sorted: float = 0.0
    local: float = 0.0
    contrast: float = 0.0
    structure: float = 0.0
    # Of VGG-16's maps and the style reader's, see stylecli/training/strokes.py.
    strokes: float = 0.0


@dataclass(frozen=True)
class Settings:
    data: Data
    crops: StyleCrops = field(default_factory=StyleCrops)
    painting: Painting = field(default_factory=Painting)
    losses: Losses = field(default_factory=Losses)
    texture: TextureSettings = field(default_factory=TextureSettings)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": StyleRwkvConfig})


class Targets:
    """Contents and styles, and what VGG-16 says of them, which is kept after the first time.

    Attributes:
        styles: as they are encoded. seen: the same as VGG-16 sees them.
        first: how many of them are not of the folders ``data.more``.
    """

    def __init__(self, recipe: Recipe, data: Data, crops: StyleCrops, worker: Worker):
        self.recipe, self.data, self.worker = recipe, data, worker
        if data.vgg_unit <= 0:
            raise UsageError(f"{recipe.name}: data.vgg_unit = {data.vgg_unit}: must be above 0")
        paths = list_images(recipe.paths(data.style))
        self.first = len(paths)
        if data.more:
            if data.more_every < 1 or not 0 <= data.more_share < 1:
                raise UsageError(f"{recipe.name}: data: more_every from 1, more_share from 0 to below 1")
            paths = paths + list_images(recipe.paths(data.more))[:: data.more_every]
        self.styles = StyleImages(paths, crops.style, crops.centred)
        self.seen = StyleImages(paths, crops.seen, crops.centred) if crops.seen else self.styles
        self.contents = ContentCrops(list_images(recipe.paths(data.content)), 0)
        self._content: dict[int, list[Tensor]] = {}
        self._style: dict[int, list[Tensor]] = {}

    @cached_property
    def vgg(self) -> Vgg16:
        return Vgg16(self.recipe.weights(self.data.vgg)).to(self.worker.device)

    @cached_property
    def spreads(self) -> list[Tensor]:
        """Spread of every statistic over many styles."""
        some = tqdm(self.some_styles(), desc="style statistics", leave=False)
        return mean_and_spread(self.style(i) for i in some)[1]

    def some_styles(self) -> list[int]:
        """Numbers of styles that stand for all."""
        return generator(0).permutation(self.first)[:_SOME].tolist()

    def draw_style(self, rng: np.random.Generator, place: int, places: int) -> int:
        """The number of a style for one place in the batch."""
        if self.first < len(self.styles) and rng.random() < self.data.more_share:
            return self.first + draw(rng, len(self.styles) - self.first, place, places)
        return draw(rng, self.first, place, places)

    def set_crop(self, crop: int) -> None:
        """Take content crops of this size from now on."""
        if crop != self.contents.crop:
            self.contents = ContentCrops(self.contents.paths, crop)
            self._content.clear()

    def content(self, index: int) -> list[Tensor]:
        """What a crop should keep, see :func:`content_features`."""
        if index not in self._content:
            image = self.contents[index][None].to(self.worker.device)
            with self.worker.precision():
                self._content[index] = content_features(self.vgg, image, self.data.vgg_unit)
        return self._content[index]

    def style(self, index: int) -> list[Tensor]:
        """What a style looks like, see :func:`style_statistics`."""
        if index not in self._style:
            image = self.seen.read(index)[None].to(self.worker.device)
            with self.worker.precision():
                self._style[index] = style_statistics(self.vgg, image)
        return self._style[index]


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    style: Tensor  # (B, 3, side, side)
    wanted: Wanted
    drawn: list[int]  # numbers of the styles
    flipped: list[bool]  # whether they are mirrored
    corner: tuple[int, int]  # of the window that ``strokes`` looks at in full size
    guided: bool  # whether styles are painted beyond themselves


class StyleRwkvTask(Task):
    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        self.own.crops.check(recipe)
        self.targets = Targets(recipe, self.own.data, self.own.crops, worker)
        config, self.known = self.start("style-rwkv", StyleRwkvConfig())
        self.model = StyleRwkv(config).to(worker.device)
        self.module = self.model
        self.texture: TextureTerms | None = None
        if TEXTURE & self.weights.keys():
            paths = self.targets.styles.paths
            self.texture = TextureTerms(self.own.texture, recipe, worker, paths, self.own.crops.centred)
        self.strokes = self._strokes(recipe, worker) if "strokes" in self.weights else None

    def _strokes(self, recipe: Recipe, worker: Worker) -> Strokes:
        targets, crops, how = self.targets, self.own.crops, self.own.texture
        fine = StyleImages(targets.styles.paths, how.side, crops.centred)
        sides = (crops.first, crops.size)
        return Strokes(how, recipe, worker, targets.vgg, targets.seen, fine, sides)

    def begin(self) -> None:
        self.load(self.model, self.known)

    def batch(self, step: int) -> Batch:
        """This worker's part of a step."""
        recipe, targets, device = self.recipe, self.targets, self.worker.device
        crop = self.own.crops.at(step, recipe.steps)
        targets.set_crop(crop)
        contents, styles, flipped = [], [], []
        places = self.worker.places(recipe.batch)
        for place in places:
            rng = generator(recipe.seed, step, place)
            contents.append(draw(rng, len(targets.contents), place, recipe.batch))
            styles.append(targets.draw_style(rng, place, recipe.batch))
            flipped.append(self.own.crops.mirrored and bool(rng.random() < 0.5))
        content = torch.stack([targets.contents[i] for i in contents]).to(device)
        style = self._styles(targets.styles, styles, flipped)
        styled = torch.ones(len(places), device=device)
        if step % 2 == 0 and places.start == 0 and {"identity", "identity_features"} & self.weights.keys():
            style[0] = F.interpolate(content[:1], style.shape[-1], mode="bilinear")[0]
            styled[0] = 0
        rng = generator(recipe.seed, step)  # the same for all workers
        y, x = rng.integers(0, crop // 2 + 1, 2).tolist()
        down, across = rng.integers(0, max(0, crop - self.own.texture.window) + 1, 2).tolist()
        guided = bool(rng.random() < self.own.painting.guided)
        wanted = Wanted([], [], styled, (y, x))
        if "content" in self.weights:
            rows = zip(*(targets.content(i) for i in contents), strict=True)
            wanted.content = [torch.cat(layer) for layer in rows]
        if {"style", "fine"} & self.weights.keys():
            wanted.style = [
                torch.cat(layer) for layer in zip(*(targets.style(i) for i in styles), strict=True)
            ]
        return Batch(content, style, wanted, styles, flipped, (down, across), guided)

    def _styles(self, images: StyleImages, numbers: list[int], flipped: list[bool]) -> Tensor:
        """(B, 3, side, side)"""
        pairs = zip(numbers, flipped, strict=True)
        return torch.stack([images[i].flip(-1) if flip else images[i] for i, flip in pairs]).to(
            self.worker.device
        )

    def terms(self, batch: Batch, step: int) -> dict[str, Tensor]:
        encoded = self.model.encode_style(batch.style)
        if batch.guided:
            encoded = self.model.guided(encoded.float())
        output = self.model(batch.content, encoded, seed=step).float()
        terms = self._seen_by_vgg(output, batch) if _VGG & self.weights.keys() else {}
        if "identity" in self.weights:
            difference = (output - batch.content).abs().mean((1, 2, 3))
            terms["identity"] = (difference * (1 - batch.wanted.styled)).mean()
        if "tv" in self.weights:
            terms["tv"] = guidance.total_variation(output)
        if "lattice" in self.weights:
            terms["lattice"] = losses.lattice_loss(output).mean()
        if self.texture:
            style = self._styles(self.texture.styles, batch.drawn, batch.flipped)
            places = self.worker.places(self.recipe.batch)
            painted = Painted(output, batch.content, style, batch.drawn, batch.wanted.styled, places)
            terms |= self.texture.terms(painted, step, self.weights)
        return terms

    def _seen_by_vgg(self, output: Tensor, batch: Batch) -> dict[str, Tensor]:
        targets = self.targets
        spreads = targets.spreads if {"style", "fine"} & self.weights.keys() else []
        unit = self.own.data.vgg_unit
        terms, coarse = painting_terms(output, batch.wanted, targets.vgg, spreads, self.weights, unit)
        if "identity_features" in self.weights:
            same = (1 - batch.wanted.styled).nonzero().flatten()
            layers = [output.new_zeros(())]
            if len(same):
                with torch.no_grad():
                    wanted = targets.vgg(half(batch.content[same]), COARSE)
                layers = [losses.feature_difference(coarse[k][same], wanted[k]).sum() for k in COARSE]
            terms["identity_features"] = torch.stack(layers).mean() / len(output)
        if self.strokes:
            maps = [coarse[k] for k in COARSE]
            distance = self.strokes.loss(output, maps, batch.drawn, batch.corner)
            terms["strokes"] = (distance * batch.wanted.styled).mean()
        return terms

    def releases(self, averaged: nn.Module) -> list[Release]:
        assert isinstance(averaged, StyleRwkv)
        if any(
            p.requires_grad
            for part in (self.model.style_encoder, self.model.reader)
            for p in part.parameters()
        ):
            styles, some = self.targets.styles, self.targets.some_styles()
            encoded = [averaged.encode_style(styles[i][None].to(self.worker.device)) for i in some]
            averaged.usual.copy_(torch.cat(encoded).mean(0))
        return [Release(averaged.state_dict(), averaged.config.to_json(), READING)]

    def sheet(self, averaged: nn.Module, path: Path) -> None:
        data: Data = self.own.data
        if data.val_content and data.val_style:
            assert isinstance(averaged, StyleRwkv)
            photographs, styles = (
                list_images([self.recipe.path(p)]) for p in (data.val_content, data.val_style)
            )
            write_sheet(path, averaged, photographs, styles)
