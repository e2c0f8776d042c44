"""Training of StyleRWKV (arXiv 2412.19535): see :mod:`stylecli.training.tasks.painting`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylecli.models.packing import EVERYTHING
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.training.gallery import Data, TextureSettings
from stylecli.training.parallel import Worker
from stylecli.training.recipe import Recipe
from stylecli.training.sheet import write_sheet
from stylecli.training.tasks.painting import (
    Batch,
    PaintingCrops,
    PaintingLosses,
    PaintingTask,
    own_pictures,
    validation,
)
from stylecli.training.tasks.task import Release


@dataclass(frozen=True)
class Painting:
    """``guided``: share of steps in which styles are painted beyond themselves, as in use (StyleRwkv.guided).
    ``mapping_rate``: learning rate of what adds to the style code, in shares of the network's: thousands of numbers
    move every site at once."""

    guided: float = 0.0
    mapping_rate: float = 0.3


@dataclass(frozen=True)
class Settings:
    data: Data
    crops: PaintingCrops = field(default_factory=PaintingCrops)
    painting: Painting = field(default_factory=Painting)
    losses: PaintingLosses = field(default_factory=PaintingLosses)
    texture: TextureSettings = field(default_factory=TextureSettings)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": StyleRwkvConfig})


class StyleRwkvTask(PaintingTask):
    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        config, self.known = self.start("style-rwkv", StyleRwkvConfig())
        self.model = StyleRwkv(config).to(worker.device)
        self.module = self.model

    def begin(self) -> None:
        self.load(self.model, self.known)

    def groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        return [
            (share, [p for name, p in named if name.startswith("mapping.") == slow])
            for share, slow in ((1.0, False), (self.own.painting.mapping_rate, True))
        ]

    @property
    def reading(self) -> list[nn.Parameter]:
        """Parameters that style vectors depend on."""
        return [*self.model.style_encoder.parameters(), *self.model.reader.parameters()]

    def encoder(self) -> Callable[[Tensor], Tensor] | None:
        return None if any(p.requires_grad for p in self.reading) else self.model.encode_style

    def style_vectors(self, batch: Batch) -> Tensor:
        gallery, encode = self.gallery, self.encoder()
        if encode is None:
            pictures = gallery.styles.stack(batch.drawn, self.worker.device)
            with self.worker.precision():
                encoded = self.model.encode_style(pictures).float()
        else:
            encoded = gallery.vectors(batch.drawn, encode)
        if "identity" in self.weights or "identity_features" in self.weights:
            themselves = self.model.encode_style(own_pictures(batch, self.own.crops.style))
            encoded = torch.where(batch.styled[:, None] > 0, encoded, themselves)
        return self.model.guided(encoded) if batch.chance < self.own.painting.guided else encoded

    def paint(self, content: Tensor, style: Tensor, seed: int | None) -> tuple[Tensor, ...]:
        return (self.model(content, style, seed),)

    def releases(self, averaged: nn.Module) -> list[Release]:
        assert isinstance(averaged, StyleRwkv)
        if self.encoder() is None:
            styles, some = self.gallery.styles, self.gallery.some_styles()
            encoded = [averaged.encode_style(styles.stack([i], self.worker.device)) for i in some]
            averaged.usual.copy_(torch.cat(encoded).mean(0))
        return [Release(averaged.state_dict(), averaged.config.to_json(), EVERYTHING)]

    def sheet(self, averaged: nn.Module, path: Path) -> None:
        pictures = validation(self.recipe, self.own.data)
        if pictures:
            assert isinstance(averaged, StyleRwkv)
            write_sheet(path, averaged, *pictures)
