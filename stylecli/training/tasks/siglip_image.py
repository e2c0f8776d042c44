"""Second training of the text-image encoder: the image tower learns which captions belong to a picture.

The sigmoid loss of SigLIP (arXiv 2303.15343): every pair of a picture and a caption in the batch is a yes-or-no
question of its own. Own decisions: every picture brings several captions (name, movement, medium, computed colours),
and a caption belongs to all pictures of the batch that it is true of, not only to the one that brought it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.models.siglip import Siglip, load_siglip
from stylecli.models.siglip.model import EIGHT_BITS
from stylecli.training.data import generator, read_rgb, resize_short_side, to_bytes
from stylecli.training.parallel import Worker
from stylecli.training.phrases import Labels, describe, read_manifest
from stylecli.training.recipe import Recipe
from stylecli.training.tasks.task import Release, TrainingTask
from stylecli.training.zero_shot import accuracy, held_out

SHORT_SIDE = 176  # at which pictures are kept in memory
TEST_SIDE = 128  # at which held-out pictures are seen


@dataclass(frozen=True)
class Data:
    """Folder of pictures with a ``manifest.csv``; side of a crop in pixels; captions of a picture in a step."""

    captioned: str
    crop: int = 96
    captions: int = 3


@dataclass(frozen=True)
class Losses:
    sigmoid: float = 1.0


@dataclass(frozen=True)
class Settings:
    data: Data
    losses: Losses = field(default_factory=Losses)


class Learning(nn.Module):
    """What changes of a model: the image tower, the temperature and the bias."""

    def __init__(self, model: Siglip):
        super().__init__()
        self.image, self.scale, self.bias = model.image, model.scale, model.bias


class SiglipImageTask(TrainingTask):
    """``warm_start`` is what the training of the text tower left."""

    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        if not recipe.warm_start:
            raise UsageError(f"{recipe.name}: warm_start is missing: weights of the task siglip-text")
        self.model = load_siglip(recipe.weights(recipe.warm_start)).to(worker.device)
        self.module = Learning(self.model).requires_grad_(True)
        self.folder = recipe.path(self.own.data.captioned)
        labels = read_manifest(self.folder)
        self.kept_out = held_out(labels)
        self.test = [x for x in labels if x.file in self.kept_out]
        self.labels = [x for x in labels if x.file not in self.kept_out]
        if recipe.batch > len(self.labels):
            raise UsageError(
                f"{recipe.name}: batch = {recipe.batch}: {self.folder} has {len(self.labels)} pictures"
            )
        read = tqdm(self.labels, desc="pictures", mininterval=10, disable=worker.rank > 0)
        self.pictures = [self._read(x) for x in read]
        self.own_captions = [x.captions() for x in self.labels]
        small = (F.interpolate(p[None].float() / 255, size=(32, 32), mode="area")[0] for p in self.pictures)
        self.seen = [describe(p) for p in small]
        every = sorted({c for ways in (*self.own_captions, *self.seen) for c in ways})
        self.number = {caption: i for i, caption in enumerate(every)}
        with torch.no_grad():
            parts = [self.model.encode_text(every[i : i + 256]) for i in range(0, len(every), 256)]
        self.texts = torch.cat(parts)
        self.true = torch.zeros(len(self.labels), len(every), dtype=torch.bool)
        for i, ways in enumerate(zip(self.own_captions, self.seen, strict=True)):
            self.true[i, [self.number[c] for part in ways for c in part]] = True
        share = np.array([_share(x) for x in self.labels])
        self.share = share / share.sum()

    def _read(self, label: Labels) -> Tensor:
        """(3, H, W) bytes."""
        return to_bytes(resize_short_side(read_rgb(self.folder / label.file), SHORT_SIDE))

    def terms(self, batch: None, step: int) -> dict[str, Tensor]:
        recipe, data = self.recipe, self.own.data
        rng = generator(recipe.seed, step)
        chosen = rng.choice(len(self.labels), recipe.batch, replace=False, p=self.share)
        side = int(rng.choice([data.crop * 6 // 7, data.crop, data.crop * 8 // 7]))
        wanted: list[int] = []
        for i in chosen:  # of the whole batch: a worker asks about the others' captions, too
            ways = self.own_captions[i]
            picked = rng.choice(len(ways), min(len(ways), data.captions - 1), replace=False)
            wanted += [self.number[ways[j]] for j in picked] + [self.number[str(rng.choice(self.seen[i]))]]
        columns = torch.tensor(sorted(set(wanted)))
        places = self.worker.places(recipe.batch)
        crops = [augment(self.pictures[chosen[p]], side, generator(recipe.seed, step, p)) for p in places]
        images = torch.stack(crops).to(self.worker.device)
        logits = self.model.logits(self.model.encode_image(images), self.texts[columns])
        true = self.true[torch.from_numpy(chosen[places.start : places.stop])][:, columns]
        return {"sigmoid": sigmoid_loss(logits, true.to(logits.device))}  # (B, captions)

    def releases(self, averaged: nn.Module) -> list[Release]:
        """Top-1 and top-3 over the 24 classes on the pictures kept out, where the data has any of them."""
        assert isinstance(averaged, Learning)
        weights = self.model.state_dict() | averaged.state_dict()
        model = Siglip(self.model.config).eval().to(self.worker.device)
        model.load_state_dict(weights)
        measured: dict[str, float] = {}
        if self.test:
            images = torch.stack([whole(self._read(x), TEST_SIDE) for x in self.test]).to(self.worker.device)
            classes = torch.tensor([self.kept_out[x.file] for x in self.test]).to(self.worker.device)
            first, third = accuracy(model, images, classes)
            measured = {"pictures": len(self.test), "top1": round(first, 4), "top3": round(third, 4)}
        return [Release(weights, model.config.to_json(), EIGHT_BITS, measured)]


def sigmoid_loss(logits: Tensor, true: Tensor) -> Tensor:
    """(N, M) log-odds of pictures and captions against what is true: summed over captions, mean over pictures."""
    return F.binary_cross_entropy_with_logits(logits, true.to(logits), reduction="none").sum(1).mean()


def augment(picture: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """A random part of a picture (3, H, W) of bytes, mirrored half of the time -> (3, side, side) in 0..1.

    Colours stay nearly as they are, for they are part of the style.
    """
    h, w = picture.shape[1:]
    size = int(min(h, w) * rng.uniform(0.45, 1))
    y, x = int(rng.integers(0, h - size + 1)), int(rng.integers(0, w - size + 1))
    part = picture[None, :, y : y + size, x : x + size].float() / 255
    part = F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0]
    if rng.random() < 0.5:
        part = part.flip(-1)
    return (part * rng.uniform(0.9, 1.1) + rng.uniform(-0.05, 0.05)).clamp(0, 1)


def whole(picture: Tensor, side: int) -> Tensor:
    """The middle square of a picture (3, H, W) of bytes -> (3, side, side) in 0..1."""
    h, w = picture.shape[1:]
    size = min(h, w)
    y, x = (h - size) // 2, (w - size) // 2
    part = picture[None, :, y : y + size, x : x + size].float() / 255
    return F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0]


def _share(label: Labels) -> float:
    """How often a picture is drawn: textures are few, photographs have little to tell apart."""
    return {"texture": 2.0, "content": 0.6}.get(label.kind, 1.0)
