"""How near a painting is to its style and to its photograph, as refining and polishing see it.

A feature network sees textures in a painting at its own size and at half of it (strokes have a size), and where things
are at half size. Whatever counts follows from sums over places, so a large picture is looked at in tiles, each computed
again when its gradients are wanted: memory does not grow with the picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from stylecli.devices import has_fast_bf16
from stylecli.metrics.vgg import Vgg16
from stylecli.models.products import Products
from stylecli.models.registry import load_network
from stylecli.models.texture import FeatureNetwork, Texture, halved, instance_normalised
from stylecli.weights import locate
from stylecli.weights.identity import fingerprint_of, identify

FINE, COARSE = 0.5, 1.0  # weights of textures at a painting's own size and at half of it
_WHOLE = 640 * 1024  # pixels that are looked at together
_TILE = 448  # side of tiles, a multiple of 8
_MAPS = 4
_STRIDES = (1, 2, 4, 8)
_PLACED = (2, 3)  # maps that say where things are
_VGG = ("1_2", "2_2", "3_3", "4_3")


@dataclass(frozen=True)
class Structure:
    """Where things are in a photograph: two instance-normalised maps of it at half size, and their mean squares."""

    maps: tuple[Tensor, ...]
    squares: tuple[Tensor, ...]


def feature_network(name: str | Path, device: torch.device) -> FeatureNetwork:
    """A name of ``weights.toml`` or a file: VGG-16, or what ``stylize train style-features`` made. Raises
    WeightsError."""
    return _loaded(os.fspath(locate(name)), str(device))


@lru_cache(maxsize=2)
def _loaded(path: str, device: str) -> FeatureNetwork:
    numbers = fingerprint_of(Path(path))
    with torch.inference_mode(False):  # what is kept must have gradients later
        if identify(Path(path)).kind == "style-features":
            own: Any = load_network(Path(path), "style-features").to(device).eval().requires_grad_(False)
            return FeatureNetwork(own, _STRIDES, own.config.halo, numbers)
        vgg = Vgg16(Path(path), _VGG[-1]).in_units().to(device)
        return FeatureNetwork(lambda x: list(vgg(x, _VGG).values()), _STRIDES, 56, numbers)


def texture_of(network: FeatureNetwork, image: Tensor) -> Texture:
    """What paintings are brought near to, of a style image (1, 3, H, W) as large as they are: at both sizes."""
    with torch.no_grad():
        return Texture.of([*_products(network, image), *_products(network, halved(_even(image)))])


def structure_of(network: FeatureNetwork, photo: Tensor) -> Structure:
    """Of photographs (B, 3, H, W) in 0..1."""
    small = _even(halved(_even(photo)), 8)
    whole: dict[int, Tensor] = {}
    with torch.no_grad():
        for tile in _tiles(small, network.halo):
            maps = tile.see(network, small)
            for i in _PLACED:
                size = [n // network.strides[i] for n in small.shape[2:]]
                whole.setdefault(i, maps[i].new_empty(*maps[i].shape[:2], *size))
                whole[i][tile.place(network.strides[i])] = maps[i]
        normalised = tuple(instance_normalised(whole[i]) for i in _PLACED)
        return Structure(normalised, tuple(x.square().mean((2, 3)) for x in normalised))


def apart(
    network: FeatureNetwork, image: Tensor, style: Texture, structure: Structure
) -> tuple[Tensor, Tensor]:
    """Of paintings (B, 3, H, W) in 0..1: squared distance of their textures from a style's, and mean square
    difference of their structure from their photographs', (B,) each."""
    fine = style.maps(0, _MAPS).apart(_products(network, image))
    coarse, content = apart_at_half(network, halved(_even(image)), style, structure)
    return FINE * fine + coarse, content


def apart_at_half(
    network: FeatureNetwork, small: Tensor, style: Texture, structure: Structure
) -> tuple[Tensor, Tensor]:
    """The same for what is seen at half size alone, of paintings at half size."""
    seen = _products(network, small, structure)
    placed = [seen[i].from_structure(square) for i, square in zip(_PLACED, structure.squares, strict=True)]
    return COARSE * style.maps(_MAPS, 2 * _MAPS).apart(seen), torch.stack(placed).mean(0)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """Features in bfloat16 where that is fast: gradients need no more."""
    fast = device.type == "cuda" or (device.type == "cpu" and has_fast_bf16())
    return torch.autocast(device.type if fast else "cpu", torch.bfloat16, enabled=fast)


def _even(image: Tensor, multiple: int = 2) -> Tensor:
    """With its last rows and columns repeated, as many as make its sides multiples."""
    H, W = image.shape[2:]
    return (
        F.pad(image, (0, -W % multiple, 0, -H % multiple), mode="replicate")
        if H % multiple or W % multiple
        else image
    )


@dataclass(frozen=True)
class _Span:
    """Rows, or columns, of a tile: first and last (excluded), and from where to where it looks."""

    first: int
    last: int
    begin: int
    end: int

    def inside(self, stride: int) -> slice:
        """The tile's own places in the map of what it looks at."""
        return slice((self.first - self.begin) // stride, (self.last - self.begin) // stride)

    def place(self, stride: int) -> slice:
        """Where these are in the whole map."""
        return slice(self.first // stride, self.last // stride)


@dataclass(frozen=True)
class _Tile:
    down: _Span
    across: _Span

    @property
    def pixels(self) -> int:
        return (self.down.last - self.down.first) * (self.across.last - self.across.first)

    def see(self, network: FeatureNetwork, image: Tensor) -> list[Tensor]:
        """The tile's part of the maps of a picture (B, 3, H, W)."""
        down, across = self.down, self.across
        with precision(image.device):
            maps = network.maps(image[..., down.begin : down.end, across.begin : across.end])
        return [x[..., down.inside(s), across.inside(s)] for x, s in zip(maps, network.strides, strict=True)]

    def place(self, stride: int) -> tuple[slice, slice, slice, slice]:
        """The tile in a whole map."""
        return slice(None), slice(None), self.down.place(stride), self.across.place(stride)


def _tiles(image: Tensor, halo: int) -> list[_Tile]:
    H, W = image.shape[2:]
    side = _TILE if H * W > _WHOLE else max(H, W)
    return [_Tile(down, across) for down in _spans(H, side, halo) for across in _spans(W, side, halo)]


def _spans(length: int, side: int, halo: int) -> Iterator[_Span]:
    firsts = [n for n in range(0, length, side) if n == 0 or length - n >= halo]
    for first, last in zip(firsts, [*firsts[1:], length], strict=True):
        yield _Span(first, last, max(0, first - halo), min(length, last + halo))


def _products(network: FeatureNetwork, image: Tensor, structure: Structure | None = None) -> list[Products]:
    """Of the four maps of pictures (B, 3, H, W); where ``structure`` has a map beside one, along it."""
    image = _even(image, 8)
    beside: list[Tensor | None] = [None] * _MAPS
    if structure is not None:
        for i, seen in zip(_PLACED, structure.maps, strict=True):
            beside[i] = seen
    tiles = _tiles(image, network.halo)

    def of(tile: _Tile, image: Tensor) -> list[Products]:
        return [
            Products.of(seen, None if other is None else other[tile.place(stride)])
            for seen, other, stride in zip(tile.see(network, image), beside, network.strides, strict=True)
        ]

    if len(tiles) == 1:
        return of(tiles[0], image)
    parts = [checkpoint(of, tile, image, use_reentrant=False) for tile in tiles]
    shares = [tile.pixels / (image.shape[2] * image.shape[3]) for tile in tiles]
    return [Products.together(list(zip(same, shares, strict=True))) for same in zip(*parts, strict=True)]
