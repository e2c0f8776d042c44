"""Second phase of ``stylize train siglip``: the image tower learns which captions belong to a picture.

The sigmoid loss of SigLIP (arXiv 2303.15343): every pair of a picture and a caption in the batch is a yes-or-no
question of its own. Own decisions: every picture brings several captions (name, movement, medium, computed colours),
and a caption belongs to all pictures of the batch that it is true of, not only to the one that brought it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.models.siglip import Siglip
from stylecli.training.data import read_rgb, resize_short_side
from stylecli.training.phrases import Labels, describe, read_manifest
from stylecli.training.zero_shot import CLASSES, accuracy, held_out

if TYPE_CHECKING:
    from stylecli.training.siglip import SiglipTrainConfig

SHORT_SIDE = 176  # at which pictures are kept in memory
TEST_SIDE = 128  # at which held-out pictures are seen


class Contrast:
    """The pictures of a manifest against their captions."""

    name = "image"

    def __init__(self, model: Siglip, config: SiglipTrainConfig):
        self.model, self.config = model, config
        self.steps, self.lr = config.image_steps, config.image_lr
        self.module = Trained(model)
        labels = read_manifest(config.data)
        self.kept_out = held_out(labels)
        self.test = [x for x in labels if x.file in self.kept_out]
        self.train = [x for x in labels if x.file not in self.kept_out]
        self.pictures = [self._read(x) for x in tqdm(self.train, desc="pictures", mininterval=10)]
        self.own = [x.captions() for x in self.train]
        self.seen = [
            describe(F.interpolate(p[None].float() / 255, size=(32, 32), mode="area")[0])
            for p in self.pictures
        ]
        every = sorted({c for ways in (*self.own, *self.seen) for c in ways})
        self.number = {caption: i for i, caption in enumerate(every)}
        with torch.no_grad():
            self.texts = torch.cat([model.encode_text(every[i : i + 256]) for i in range(0, len(every), 256)])
        self.true = torch.zeros(len(self.train), len(every), dtype=torch.bool)
        for i, ways in enumerate(zip(self.own, self.seen, strict=True)):
            self.true[i, [self.number[c] for part in ways for c in part]] = True
        self.weight = np.array([_share(x) for x in self.train])
        self.weight /= self.weight.sum()

    def _read(self, label: Labels) -> Tensor:
        """(3, H, W) bytes."""
        image = resize_short_side(read_rgb(self.config.data / label.file), SHORT_SIDE)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()

    def terms(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.config.seed, step])
        size = min(self.config.image_batch, len(self.train))
        chosen = rng.choice(len(self.train), size, replace=False, p=self.weight)
        side = int(rng.choice([self.config.crop * 6 // 7, self.config.crop, self.config.crop * 8 // 7]))
        images = torch.stack([augment(self.pictures[i], side, rng) for i in chosen]).to(self.config.device)
        wanted: list[int] = []
        for i in chosen:
            ways = self.own[i]
            picked = rng.choice(len(ways), min(len(ways), self.config.captions - 1), replace=False)
            wanted += [self.number[ways[j]] for j in picked] + [self.number[str(rng.choice(self.seen[i]))]]
        columns = torch.tensor(sorted(set(wanted)))
        logits = self.model.logits(self.model.encode_image(images), self.texts[columns])
        true = self.true[torch.from_numpy(chosen)][:, columns].to(logits.device)  # (B, captions)
        return {"sigmoid": sigmoid_loss(logits, true)}

    def report(self) -> dict[str, Any]:
        """Top-1 and top-3 over the 24 classes on the pictures kept out; empty where the data has none of them."""
        if not self.test:
            return {}
        images = torch.stack([whole(self._read(x), TEST_SIDE) for x in self.test]).to(self.config.device)
        classes = torch.tensor([self.kept_out[x.file] for x in self.test])
        first, third = accuracy(self.model, images, classes.to(self.config.device))
        return {
            "pictures": len(self.test),
            "classes": len(CLASSES),
            "top1": round(first, 4),
            "top3": round(third, 4),
        }


class Trained(nn.Module):
    """What the second phase changes of a model: the image tower, the temperature and the bias."""

    def __init__(self, model: Siglip):
        super().__init__()
        self.image = model.image
        self.scale, self.bias = model.scale, model.bias


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
