"""Losses of texture in training: what the style reader sees in a painting against what it sees in the style.

The reader is part of every StyleRWKV's weights, several times cheaper than VGG-16, and stays as it is here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from stylecli.errors import UsageError
from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.models.registry import load_network
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.models.style_rwkv.reader import StyleReader
from stylecli.training import losses
from stylecli.training.data import StyleImages, generator
from stylecli.training.parallel import Worker
from stylecli.training.recipe import Recipe

TEXTURE = frozenset({"gram", "sliced", "sorted", "local", "contrast", "structure"})
"""Names of these losses in a recipe."""
_KNOWN = 200  # styles that others are contrasted with
_FAR = 8.0  # spreads


@dataclass(frozen=True)
class TextureSettings:
    """How the losses of texture look at pictures.

    Attributes:
        reader: weights of the StyleRWKV whose style reader gives the feature maps.
        side: of a style as they see it, in pixels.
        keep_low: share of what is coarse in feature maps that counts, see :func:`losses.lighter_lows`.
        window: side of what the reader sees for ``strokes``, at full size, in pixels. window_maps: how many of its
            maps count there. coarse, fine: weights in ``strokes`` of VGG-16 at half size, and of the reader.
        projections: directions of the sliced Wasserstein distance.
        others: styles that a painting is contrasted with. temperature: of that contrast.
    """

    reader: str = "stylerwkv-s"
    side: int = 384
    keep_low: float = 1.0
    window: int = 144
    window_maps: int = 3
    coarse: float = 1.0
    fine: float = 0.5
    projections: int = 64
    others: int = 15
    temperature: float = 0.1


@dataclass
class Painted:
    """A painted batch.

    Attributes:
        output, content: (B, 3, H, W). style: (B, 3, side, side).
        drawn: numbers of the styles. styled: (B,) 1 where the style counts.
        places: places of the pictures in the whole batch.
    """

    output: Tensor
    content: Tensor
    style: Tensor
    drawn: list[int]
    styled: Tensor
    places: range


def load_reader(settings: TextureSettings, recipe: Recipe, worker: Worker) -> StyleReader:
    """The style reader that the losses look with."""
    network = cast(StyleRwkv, load_network(recipe.weights(settings.reader)))
    return network.reader.to(worker.device)


class TextureTerms:
    """Unweighted losses of texture, those of TEXTURE that are asked for."""

    def __init__(
        self,
        settings: TextureSettings,
        recipe: Recipe,
        worker: Worker,
        styles: list[Path],
        centred: bool = False,
    ):
        if settings.side % 8:
            raise UsageError(f"{recipe.name}: texture.side = {settings.side}: must be a multiple of 8")
        self.reader = load_reader(settings, recipe, worker)
        self.settings, self.seed, self.device = settings, recipe.seed, worker.device
        self.styles = StyleImages(styles, settings.side, centred)

    def terms(self, painted: Painted, step: int, names: Collection[str]) -> dict[str, Tensor]:
        found = self.reader.maps(painted.output)
        with torch.no_grad():
            wanted = self.reader.maps(painted.style)
            kept = self.reader.maps(painted.content)[2:] if {"local", "structure"} & set(names) else []
        with torch.autocast(self.device.type, enabled=False):  # squares of sums need all digits
            found, wanted, kept = ([f.float() for f in maps] for maps in (found, wanted, kept))
            return self._compared(found, wanted, kept, painted, step, names)

    def _compared(
        self,
        found: list[Tensor],
        wanted: list[Tensor],
        kept: list[Tensor],
        painted: Painted,
        step: int,
        names: Collection[str],
    ) -> dict[str, Tensor]:
        """``found``, ``wanted``, ``kept``: feature maps of the paintings, of their styles, and the last two of their
        photographs."""
        how = self.settings
        fine, fine_wanted = ([losses.lighter_lows(f, how.keep_low) for f in maps] for maps in (found, wanted))
        pairs = list(zip(fine, fine_wanted, strict=True))
        each: dict[str, Tensor] = {}  # (B,) per loss
        if "gram" in names:
            each["gram"] = losses.gram_loss(fine, fine_wanted)
        if "sliced" in names:
            sliced = [losses.sliced_wasserstein_loss(a, b, step, how.projections) for a, b in pairs]
            each["sliced"] = torch.stack(sliced).mean(0)
        if "sorted" in names:
            each["sorted"] = torch.stack([losses.sorted_loss(a, b) for a, b in pairs]).mean(0)
        if "local" in names:
            layers = zip(found[2:], kept, wanted[2:], strict=True)
            each["local"] = torch.stack([losses.local_loss(*layer) for layer in layers]).mean(0)
        if "contrast" in names:
            own = self._described(wanted)
            others = self._others(painted, step)
            each["contrast"] = losses.contrast_loss(self._described(found), own, others, how.temperature)
        terms = {name: (loss * painted.styled).mean() for name, loss in each.items()}
        if "structure" in names:
            terms["structure"] = losses.content_loss(found[-1], instance_normalised(kept[-1]))
        return terms

    def _described(self, maps: list[Tensor]) -> Tensor:
        """(B, D), standardised over styles."""
        described = torch.cat([statistics(f) for f in maps[2:]], 1)
        return ((described - self.reader.mean) / self.reader.spread).clamp(-_FAR, _FAR)

    @cached_property
    def _known(self) -> tuple[list[int], Tensor]:
        """Numbers of some styles, and their descriptions (N, D)."""
        numbers = generator(0).permutation(len(self.styles))[:_KNOWN].tolist()
        with torch.no_grad():
            rows = [
                self._described(self.reader.maps(self.styles.read(n)[None].to(self.device))) for n in numbers
            ]
        return numbers, torch.cat(rows)

    def _others(self, painted: Painted, step: int) -> Tensor:
        """(B, N, D): descriptions of other styles than a picture's own, others at every step."""
        numbers, described = self._known
        rows = []
        for place, own in zip(painted.places, painted.drawn, strict=True):
            candidates = [k for k, number in enumerate(numbers) if number != own]
            rng = generator(self.seed, step, place, 1)
            chosen = rng.choice(candidates, min(self.settings.others, len(numbers) - 1), replace=False)
            rows.append(described[torch.from_numpy(chosen)])
        return torch.stack(rows)
