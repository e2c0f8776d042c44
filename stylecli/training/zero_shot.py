"""The 24 prompt classes on which text-image encoders are compared, and which pictures are kept out to do so."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.models.siglip import Siglip
from stylecli.training.phrases import Labels
from stylecli.training.prompts import PROBE_CLASSES

CLASSES = tuple((name, column) for column, names in PROBE_CLASSES.items() for name in names)
WAYS = ("{} style", "{}", "a {} picture", "in the style of {}")


def held_out(labels: Sequence[Labels]) -> dict[str, int]:
    """Files kept out of the training -> number of their class: every fourth of a class, by name. A picture may be in
    several classes; the one that comes first counts."""
    found: dict[str, int] = {}
    for number, (name, column) in enumerate(CLASSES):
        files = sorted(x.file for x in labels if getattr(x, column) == name)
        for file in files[3::4]:
            found.setdefault(file, number)
    return found


@torch.no_grad()
def accuracy(model: Siglip, images: Tensor, classes: Tensor) -> tuple[float, float]:
    """Top-1 and top-3 of naming pictures (N, 3, H, W) by the class whose prompts are closest."""
    prompts = [
        F.normalize(model.encode_text([w.format(name) for w in WAYS]).mean(0), dim=0) for name, _ in CLASSES
    ]
    points = torch.cat([model.encode_image(part) for part in images.split(32)])
    best = (points @ torch.stack(prompts).T).topk(3).indices  # (N, 3)
    hits = best == classes[:, None]
    return float(hits[:, 0].float().mean()), float(hits.any(1).float().mean())
