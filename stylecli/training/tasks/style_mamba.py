"""Training of StyleMamba (arXiv 2405.05027) on photographs and captioned artworks.

As StyleRWKV's (:mod:`stylecli.training.tasks.painting`): every photograph is painted in the style of one artwork,
whose own texture is the target. The network is given the style's vector and, half of the time, the embedding of
something that can be said of the artwork (``network.style = 0``: that alone, as StyleMamba 2 is). The auto-encoder's
decoder learns with it, for a decoder that was made for photographs leaves a weave of its 4 x 4 blocks in paintings;
its encoder is fixed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.errors import UsageError
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.packing import EVERYTHING
from stylecli.models.registry import load_network
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.descriptor import AUTOENCODER
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.style_code import PromptCode, StyleCode
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.paint import guidance
from stylecli.training import gallery
from stylecli.training.artworks import known_artworks, name_of
from stylecli.training.data import generator
from stylecli.training.gallery import TextureSettings
from stylecli.training.parallel import Worker
from stylecli.training.prompts import held_out, read_manifest
from stylecli.training.recipe import Recipe
from stylecli.training.sheet import write_sheet
from stylecli.training.tasks.painting import (
    Batch,
    PaintingCrops,
    PaintingLosses,
    PaintingTask,
    validation,
)
from stylecli.training.tasks.task import Release


@dataclass(frozen=True)
class Data(gallery.Data):
    """``manifest``: folder of the ``manifest.csv`` that says what the styles are. ``known``: a file of what is known of
    every artwork (:mod:`stylecli.training.artworks`), made there where it is missing; empty: in the run's folder.
    ``autoencoder``: between whose halves the network works. ``reader``, ``siglip``: what looks at the artworks, and
    understands what is said of them, for that file."""

    manifest: str = "."
    known: str = ""
    autoencoder: str = "autoencoder-s"
    reader: str = "stylerwkv-s"
    siglip: str = "siglip-s"


@dataclass(frozen=True)
class Painting:
    """``said``: share of pictures whose network is told something of the artwork. ``code_rate``: learning rate of the
    style code, which every layer depends on, in shares of the network's."""

    said: float = 0.5
    code_rate: float = 0.3


@dataclass(frozen=True)
class Losses(PaintingLosses):
    """``reconstruction``: of photographs by the auto-encoder alone. ``range``: of paintings outside of 0..1.
    ``kept``: of paintings, seen through a box of 4 x 4 pixels, from what the decoder that training began with makes of
    the same latents. Such a box hides whatever repeats every 4 pixels: with ``lattice`` beside it, the decoder learns
    to leave out its own grid, and nothing else."""

    reconstruction: float = 5.0
    range: float = 2.0
    kept: float = 0.0


@dataclass(frozen=True)
class Settings:
    data: Data
    crops: PaintingCrops = field(default_factory=PaintingCrops)
    painting: Painting = field(default_factory=Painting)
    losses: Losses = field(default_factory=Losses)
    texture: TextureSettings = field(default_factory=TextureSettings)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": StyleMambaConfig})


class Learning(nn.Module):
    """All that learns: StyleMamba and the auto-encoder's decoder."""

    def __init__(self, network: StyleMamba, autoencoder: Autoencoder):
        super().__init__()
        self.network, self.autoencoder = network, autoencoder
        autoencoder.decoder.requires_grad_(True)


class StyleMambaTask(PaintingTask):
    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        data, device = self.own.data, worker.device
        paths = self.gallery.styles.paths
        kept_out = held_out(read_manifest(recipe.path(data.manifest)))
        self.gallery.left_out = {n for n, path in enumerate(paths) if name_of(path) in kept_out}
        file = recipe.path(data.known) if data.known else out / "artworks.safetensors"
        with worker.first_alone():
            known = known_artworks(file, paths, recipe, data.reader, data.siglip, device)
        self.vectors, self.said = known.vectors.to(device), known.said
        self.embeddings = known.embeddings.to(device)
        config, self.known = self.start("style-mamba", StyleMambaConfig())
        sizes, wanted = (config.style, config.embedding), (self.vectors.shape[1], self.embeddings.shape[1])
        if sizes != wanted and sizes != (0, wanted[1]):
            raise UsageError(
                f"{recipe.name}: network: style and embedding = {sizes}; those of the artworks have "
                f"{wanted[0]} and {wanted[1]} numbers (style = 0: phrases alone)"
            )
        autoencoder = cast(Autoencoder, load_network(recipe.weights(data.autoencoder), "autoencoder"))
        self.began_with = copy.deepcopy(autoencoder).to(device).requires_grad_(False)
        self.learning = Learning(StyleMamba(config), autoencoder).to(device)
        self.module = self.learning

    def begin(self) -> None:
        network = self.learning.network
        if self.known and ("code.enter.weight" in self.known or not network.config.style):
            self.load(network, self.known)
            return
        code, before = cast(StyleCode, network.code), None
        if (
            self.known
        ):  # a network of before, which knows phrases alone: its codes are where the new ones begin
            last = self.known["code.2.weight"]
            old = PromptCode(network.config.embedding, len(last))
            old.load_state_dict({k[5:]: v for k, v in self.known.items() if k.startswith("code.")})
            before = old.to(self.embeddings.device)(self.embeddings[self.said[:, 0]].float()).detach()
            rest = {k: v for k, v in self.known.items() if not k.startswith("code.")}
            network.load_state_dict(widened(rest, network.state_dict()), strict=False)
        drawn = [n for n in range(len(self.vectors)) if n not in self.gallery.left_out]
        code.begin_with(self.vectors[drawn].float(), None if before is None else before[drawn])

    def groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        code = {id(p) for p in self.learning.network.code.parameters()}
        every = [p for p in self.learning.parameters() if p.requires_grad]
        return [
            (1.0, [p for p in every if id(p) not in code]),
            (self.own.painting.code_rate, [p for p in every if id(p) in code]),
        ]

    def style_vectors(self, batch: Batch) -> Tensor:
        if not self.learning.network.config.style:
            return self._told(batch, always=True)
        return torch.cat([self.vectors[batch.drawn].float(), self._told(batch)], 1)

    def _told(self, batch: Batch, always: bool = False) -> Tensor:
        """Embeddings (B, E) of what the network is told of the artworks; zeros where that is nothing."""
        numbers, told = [], []
        for drawn in batch.drawn:
            rng = generator(batch.seed, drawn)
            ways = self.said[drawn]
            ways = ways[ways >= 0]
            numbers.append(int(ways[int(rng.integers(len(ways)))]))
            told.append(float(always or rng.random() < self.own.painting.said))
        found = self.embeddings[numbers].float()
        return found * torch.tensor(told, device=found.device)[:, None]

    def paint(self, content: Tensor, style: Tensor, seed: int | None) -> tuple[Tensor, ...]:
        network, autoencoder = self.learning.network, self.learning.autoencoder
        with torch.no_grad():
            latent = autoencoder.encode(content)
        stylized = network(latent, network.style_code(style), seed)
        painted = {"painted": autoencoder.decode(stylized)}
        if "reconstruction" in self.weights:
            painted["reconstruction"] = autoencoder.decode(latent)
        if "kept" in self.weights:
            painted["kept"] = self.began_with.decode(stylized.detach())
        return tuple(painted.values())

    def more_terms(self, painted: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
        output, *more = (x.float() for x in painted)
        terms = {"range": guidance.out_of_range(output)}
        if "reconstruction" in self.weights:
            terms["reconstruction"] = (more.pop(0) - batch.content).abs().mean()
        if "kept" in self.weights:
            terms["kept"] = F.avg_pool2d(output - more.pop(0), 4, 1).abs().mean()
        return terms

    def releases(self, averaged: nn.Module) -> list[Release]:
        assert isinstance(averaged, Learning)
        network, autoencoder = averaged.network, averaged.autoencoder
        return [
            Release(network.state_dict(), network.config.to_json(), EVERYTHING),
            Release(autoencoder.state_dict(), autoencoder.config.to_json(), file=AUTOENCODER),
        ]

    def sheet(self, averaged: nn.Module, path: Path) -> None:
        pictures = validation(self.recipe, self.own.data)
        if pictures:
            assert isinstance(averaged, Learning)
            reader = load_network(self.recipe.weights(self.own.data.reader), "style-rwkv")
            shown = _ByPicture(averaged, cast(StyleRwkv, reader)).to(self.worker.device)
            write_sheet(path, shown, *pictures)


class _ByPicture(nn.Module):
    """What learns, painting in the styles of pictures that ``reader`` encodes."""

    def __init__(self, learned: Learning, reader: StyleRwkv):
        super().__init__()
        self.learned, self.reader = learned, reader

    def encode_style(self, style: Tensor) -> Tensor:
        vector = self.reader.encode_style(style)
        return torch.cat([vector, vector.new_zeros(len(vector), self.learned.network.config.embedding)], 1)

    def paint(self, content: Tensor, style: Tensor) -> Tensor:
        network, autoencoder = self.learned.network, self.learned.autoencoder
        return autoencoder.decode(network(autoencoder.encode(content), network.style_code(style)))


def widened(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those weights that a network has a part for, as large as ``fresh`` ones: what is larger than before keeps its
    fresh numbers beyond. Parts that are smaller than before are left out."""
    found = {}
    for name, value in weights.items():
        new = fresh.get(name)
        if (
            new is None
            or new.ndim != value.ndim
            or any(a > b for a, b in zip(value.shape, new.shape, strict=True))
        ):
            continue
        new = new.clone()
        new[tuple(slice(n) for n in value.shape)] = value.to(new)
        found[name] = new
    return found
