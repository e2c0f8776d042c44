"""What prompts should look like: the statistics of the artworks that they stand for, and their embeddings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from stylecli.metrics.vgg import Vgg16
from stylecli.models.siglip import Siglip
from stylecli.training.checkpoint import write_tensors
from stylecli.training.data import StyleImages
from stylecli.training.perceptual import style_statistics
from stylecli.training.prompts import Prompts

_SIDE = 256  # of the artworks that statistics are taken from


@dataclass
class Targets:
    """What can be computed once: statistics of all artworks, embeddings of all prompts.

    Attributes:
        statistics: (artworks, D) float16 per layer of COARSE, then of FINE.
        embeddings: prompt to its embedding (E,).
    """

    prompts: Prompts
    statistics: list[Tensor]
    embeddings: dict[str, Tensor]
    push: float

    def __post_init__(self) -> None:
        self.typical = [layer.float().mean(0, keepdim=True) for layer in self.statistics]

    def wanted(self, artworks: list[int]) -> list[Tensor]:
        """(1, D) per layer: the mean of the artworks, pushed away from the mean of all.

        What artworks of one kind have in common is weaker than what a single one shows: unpushed, all came out
        brownish."""
        targets = []
        for layer, typical in zip(self.statistics, self.typical, strict=True):
            mean = layer[artworks].float().mean(0, keepdim=True)
            # Statistics of features after a ReLU are not negative.
            lowest = 0.3 * torch.minimum(mean, typical)
            targets.append(torch.maximum(typical + self.push * (mean - typical), lowest))
        return targets


def all_statistics(prompts: Prompts, vgg: Path, file: Path, device: str) -> list[Tensor]:
    """Statistics of every artwork, kept in ``file`` because VGG-16 takes minutes for them."""
    names = "\n".join(["at their own size", *(str(path) for path in prompts.paths)])
    key = hashlib.sha256(names.encode()).hexdigest()[:16]
    if file.is_file():
        kept = load_file(file)
        if key in kept:
            return [kept[str(i)] for i in range(len(kept) - 1)]
    images, network = StyleImages(prompts.paths, _SIDE), Vgg16(vgg).to(device)
    rows = []
    for i in tqdm(range(len(prompts.paths)), desc="statistics of the artworks", mininterval=10):
        image = images.stack([i], torch.device(device), keep=False)
        rows.append([s.half().cpu() for s in style_statistics(network, image)])
    layers = [torch.cat(layer) for layer in zip(*rows, strict=True)]
    write_tensors(file, {str(i): layer for i, layer in enumerate(layers)} | {key: torch.zeros(1)}, {})
    return layers


@torch.inference_mode()
def all_embeddings(prompts: Prompts, siglip: Siglip) -> dict[str, Tensor]:
    sayings = prompts.sayings()
    parts = [siglip.encode_text(sayings[i : i + 256]) for i in range(0, len(sayings), 256)]
    return dict(zip(sayings, torch.cat(parts).clone(), strict=True))
