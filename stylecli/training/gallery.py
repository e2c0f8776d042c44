"""What painting networks learn from: photographs, styles, and what VGG-16 sees in the styles, kept once computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.metrics.vgg import Vgg16
from stylecli.models.texture import Texture
from stylecli.training.data import ContentCrops, StyleImages, draw, generator, list_images
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import COARSE, mean_and_spread
from stylecli.training.recipe import Recipe

_SOME = 200  # styles that stand for all
_AT_ONCE = 16  # styles that are read and described together


@dataclass(frozen=True)
class Data:
    """Folders of photographs and of styles, those of the contact sheets, and VGG-16's weights.

    ``more``: folders of further styles, of which every ``more_every``-th file counts; a style is drawn from them with
    the probability ``more_share``. What is measured over many styles comes from the first ones.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    more: tuple[str, ...] = ()
    more_every: int = 1
    more_share: float = 0.4
    val_content: str = ""
    val_style: str = ""
    vgg: str = "vgg16"


@dataclass(frozen=True)
class TextureSettings:
    """How textures of paintings and styles are compared.

    Attributes:
        side: of the square of a style beside a painting in full size, in pixels. coarse_side: beside one of half its
            size. Half of ``side`` would be the same style; more gives wider strokes, for pictures that are small.
        window: side of what is seen of a painting in full size; 0: all of it. maps: how many of VGG-16's four maps
            count there, finest first.
        coarse, fine: weights of both in the loss ``strokes``.
    """

    side: int = 384
    coarse_side: int = 192
    window: int = 144
    maps: int = 3
    coarse: float = 1.0
    fine: float = 0.5


class Gallery:
    """Photographs and styles of a recipe.

    Attributes:
        contents: crops of photographs. styles: as they are encoded.
        first: how many of the styles are not of the folders ``data.more``.
        left_out: numbers of styles that are never drawn.
    """

    def __init__(self, recipe: Recipe, data: Data, style_side: int, texture: TextureSettings, worker: Worker):
        self.recipe, self.data, self.texture, self.worker = recipe, data, texture, worker
        if not 1 <= texture.maps <= len(COARSE):
            raise UsageError(f"{recipe.name}: texture.maps = {texture.maps}: choose 1 to {len(COARSE)}")
        for key, side in (("side", texture.side), ("coarse_side", texture.coarse_side)):
            if side % 8 or side < 16:
                raise UsageError(f"{recipe.name}: texture.{key} = {side}: must be a multiple of 8, from 16")
        paths = list_images(recipe.paths(data.style))
        self.first = len(paths)
        if data.more:
            if data.more_every < 1 or not 0 <= data.more_share < 1:
                raise UsageError(f"{recipe.name}: data: more_every from 1, more_share from 0 to below 1")
            paths = paths + list_images(recipe.paths(data.more))[:: data.more_every]
        self.styles = StyleImages(paths, style_side)
        self._coarse, self._fine = (StyleImages(paths, side) for side in (texture.coarse_side, texture.side))
        self.contents = ContentCrops(list_images(recipe.paths(data.content)), 0)
        self.left_out: set[int] = set()
        self._textures: dict[int, tuple[Texture, Texture]] = {}
        self._vectors: dict[int, Tensor] = {}

    @cached_property
    def vgg(self) -> Vgg16:
        return Vgg16(self.recipe.weights(self.data.vgg)).to(self.worker.device)

    def set_crop(self, crop: int) -> None:
        """Take content crops of this size from now on."""
        if crop != self.contents.crop:
            self.contents = ContentCrops(self.contents.paths, crop)
            if self.worker.device.type == "cuda":
                self.contents.preload(self.worker.device)

    def draw_style(self, rng: np.random.Generator, place: int, places: int) -> int:
        """The number of a style for one place in the batch."""
        while (number := self._draw_style(rng, place, places)) in self.left_out:
            pass
        return number

    def _draw_style(self, rng: np.random.Generator, place: int, places: int) -> int:
        if self.first < len(self.styles) and rng.random() < self.data.more_share:
            return self.first + draw(rng, len(self.styles) - self.first, place, places)
        return draw(rng, self.first, place, places)

    def some_styles(self) -> list[int]:
        """Numbers of styles that stand for all."""
        return generator(0).permutation(self.first)[:_SOME].tolist()

    def describe_all(self, encode: Callable[[Tensor], Tensor] | None) -> None:
        """Compute what is wanted of every style, and its vector, before the first step: a graphics card takes seconds
        for thousands."""
        numbers = range(len(self.styles))
        for start in tqdm(range(0, len(numbers), _AT_ONCE), desc="styles", mininterval=10):
            some = numbers[start : start + _AT_ONCE]
            self._describe(some)
            if encode is not None:
                self._encode(some, encode)

    def textures(self, numbers: Sequence[int]) -> tuple[Texture, Texture]:
        """What VGG-16 sees in styles: beside paintings of half their size, and beside paintings in full size."""
        for number in numbers:  # one by one: in another company its last bits would be others
            if number not in self._textures:
                self._describe([number])
        coarse, fine = zip(*(self._textures[n] for n in numbers), strict=True)
        with torch.autocast(self.worker.device.type, enabled=False):
            return Texture.batch(coarse).to(torch.float32), Texture.batch(fine).to(torch.float32)

    def vectors(self, numbers: Sequence[int], encode: Callable[[Tensor], Tensor]) -> Tensor:
        """Style vectors (B, S) by a network that does not learn: pictures (n, 3, side, side) to (n, S)."""
        for number in numbers:
            if number not in self._vectors:
                self._encode([number], encode)
        return torch.cat([self._vectors[n] for n in numbers])

    @cached_property
    def spreads(self) -> list[Tensor]:
        """Spread of channel means and deviations over many styles, (2 C,) per layer of COARSE."""
        some = self.some_styles()
        groups = (some[i : i + _AT_ONCE] for i in range(0, len(some), _AT_ONCE))
        return mean_and_spread(
            texture_statistics(self._seen(self._coarse, of, len(COARSE))) for of in groups
        )[1]

    def _describe(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        coarse = self._seen(self._coarse, numbers, len(COARSE))
        fine = self._seen(self._fine, numbers, self.texture.maps)
        for place, number in enumerate(numbers):
            self._textures[number] = coarse.row(place), fine.row(place)

    @torch.no_grad()
    def _seen(self, images: StyleImages, numbers: Sequence[int], maps: int) -> Texture:
        """The textures of styles in VGG-16's first ``maps`` of four maps."""
        pictures = images.stack(numbers, self.worker.device, keep=False)
        with self.worker.precision():
            found = self.vgg(pictures, list(COARSE)[:maps])
        with torch.autocast(self.worker.device.type, enabled=False):  # squares of sums need all digits
            return Texture.of(list(found.values())).to(torch.float16)

    @torch.no_grad()
    def _encode(self, numbers: Sequence[int], encode: Callable[[Tensor], Tensor]) -> None:
        if numbers:
            pictures = self.styles.stack(numbers, self.worker.device, keep=False)
            with torch.autocast(self.worker.device.type, enabled=False):
                vectors = encode(pictures)
            self._vectors.update(zip(numbers, vectors.split(1), strict=True))


def texture_statistics(texture: Texture) -> list[Tensor]:
    """Channel means and deviations (B, 2 C) that a texture holds, per layer."""
    rows = zip(texture.units[1::2], texture.lengths[1::2], strict=True)
    return [unit.float() * length for unit, length in rows]
