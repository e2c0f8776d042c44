"""Training of networks that paint photographs in the style of pictures, on folders of both.

One step: crops of photographs, each painted in a style of its own; VGG-16 looks at the paintings at two scales. At half
size it gives content and coarse style, so that strokes are wide enough to be seen; a window in full size gives the fine
texture. A task says how its network paints such a batch (:meth:`PaintingTask.paint`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.errors import UsageError
from stylecli.metrics.statistics import instance_normalised
from stylecli.models.texture import Texture, halved
from stylecli.paint import guidance
from stylecli.training import losses
from stylecli.training.data import draw, generator, list_images
from stylecli.training.gallery import Gallery, texture_statistics
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import COARSE, CONTENT
from stylecli.training.recipe import Recipe
from stylecli.training.recording import Recorded, record
from stylecli.training.tasks.crops import Crops
from stylecli.training.tasks.task import TrainingTask

_VGG = {"content", "style", "strokes", "identity_features"}  # losses that need it
_COMPARED = {*_VGG, "identity", "tv", "lattice"}


@dataclass(frozen=True)
class PaintingCrops(Crops):
    """``style``: side of the square of a style as networks read it, in pixels: all of its short side."""

    style: int = 288


@dataclass(frozen=True)
class PaintingLosses:
    """Weights. 0: not computed.

    Attributes:
        content: distance of instance-normalised features from the photograph's. style: of channel means and deviations
            from the style's, in spreads over styles. strokes: of textures at two scales.
        identity, identity_features: of pictures painted in their own style, at every other step the batch's first.
        tv: total variation. lattice: what repeats every 4, 8 or 16 pixels.
    """

    content: float = 0.9
    style: float = 1.0
    strokes: float = 1.5
    identity: float = 0.0
    identity_features: float = 0.0
    tv: float = 0.3
    lattice: float = 2.0


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    drawn: list[int]  # numbers of the styles
    styled: Tensor  # (B,) 1 where the style counts, 0 where the painting should be its photograph
    corner: tuple[int, int]  # of the window in full size
    chance: float  # 0..1, for what a task leaves to chance at this step
    seed: int  # of the noise


class PaintingTask(TrainingTask):
    """``recipe.own`` has the tables data, crops, texture, losses and network, and what else a task adds."""

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        own = self.own
        own.crops.check(recipe)
        smallest = min(own.crops.first, own.crops.size)
        if own.texture.window % 8 or not 0 <= own.texture.window <= smallest:
            raise UsageError(
                f"{recipe.name}: texture.window = {own.texture.window}: must be a multiple of 8 and fit into the crops"
            )
        self.gallery = Gallery(recipe, own.data, own.crops.style, own.texture, worker)
        self.compared = [name for name in self.weights if name in _COMPARED]
        self._ready = worker.device.type != "cuda"  # a CPU describes every style when it is drawn
        self._recorded: dict[torch.Size, Recorded] = {}

    @abstractmethod
    def style_vectors(self, batch: Batch) -> Tensor:
        """(B, S), in full precision."""

    @abstractmethod
    def paint(self, content: Tensor, style: Tensor, seed: int | None) -> tuple[Tensor, ...]:
        """Paintings (B, 3, H, W), about in 0..1, and what else :meth:`more_terms` wants, of photographs and style
        vectors; ``seed`` as of :class:`stylecli.models.layers.Noise`."""

    def more_terms(self, painted: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
        """Losses besides those of :class:`PaintingLosses`."""
        return {}

    def encoder(self) -> Callable[[Tensor], Tensor] | None:
        """What gives style vectors of pictures (:meth:`Gallery.vectors`), if it does not learn; else None."""
        return None

    def batch(self, step: int) -> Batch:
        recipe, own, gallery = self.recipe, self.own, self.gallery
        if not self._ready:
            gallery.describe_all(self.encoder())
            if "style" in self.weights:
                gallery.spreads  # noqa: B018
            self._ready = True
        crop = own.crops.at(step, recipe.steps)
        gallery.set_crop(crop)
        places = self.worker.places(recipe.batch)
        contents, drawn = [], []
        for place in places:
            rng = generator(recipe.seed, step, place)
            contents.append(draw(rng, len(gallery.contents), place, recipe.batch))
            drawn.append(gallery.draw_style(rng, place, recipe.batch))
        content = gallery.contents.stack(contents, self.worker.device)
        styled = torch.ones(len(places))
        if step % 2 == 0 and places.start == 0 and {"identity", "identity_features"} & self.weights.keys():
            styled[0] = 0
        rng = generator(recipe.seed, step)  # the same for all workers
        y, x = rng.integers(0, crop - (own.texture.window or crop) + 1, 2).tolist()
        chance, seed = float(rng.random()), int(rng.integers(2**31))
        return Batch(content, drawn, styled.to(self.worker.device), (y, x), chance, seed)

    def terms(self, batch: Batch, step: int) -> dict[str, Tensor]:
        with torch.autocast(self.worker.device.type, enabled=False):
            style = self.style_vectors(batch)
        rows: list[Tensor] = []
        if {"style", "strokes"} & self.weights.keys():
            rows = [x for texture in self.gallery.textures(batch.drawn) for x in texture.rows()]
        inputs = (batch.content, batch.styled, *rows)
        if self.worker.device.type == "cuda" and self.worker.count == 1 and not self.own.texture.window:
            torch.manual_seed(batch.seed)  # of the noise
            if batch.content.shape not in self._recorded:
                self._recorded = {batch.content.shape: record(self, style, inputs)}
            recorded = self._recorded[batch.content.shape]
            painted = recorded.paint(batch.content, style)
            values = recorded.compare(painted[0], *inputs)
        else:
            painted = self.paint(batch.content, style, batch.seed)
            values = self.compare(painted[0], *inputs, corner=batch.corner)
        terms = dict(zip(self.compared, values.unbind(), strict=True))
        return terms | self.more_terms(painted, batch)

    def compare(
        self,
        output: Tensor,
        content: Tensor,
        styled: Tensor,
        *rows: Tensor,
        corner: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Losses (N,) of paintings, in the order of ``compared``. ``rows``: both textures of the styles."""
        output, terms = output.float(), {}
        if _VGG & set(self.compared):
            terms = self._seen_by_vgg(output, content, styled, rows, corner)
        if "identity" in self.compared:
            terms["identity"] = ((output - content).abs().mean((1, 2, 3)) * (1 - styled)).mean()
        if "tv" in self.compared:
            terms["tv"] = guidance.total_variation(output)
        if "lattice" in self.compared:
            terms["lattice"] = losses.lattice_loss(output).mean()
        return torch.stack([terms[name] for name in self.compared])

    def _seen_by_vgg(
        self,
        output: Tensor,
        content: Tensor,
        styled: Tensor,
        rows: Sequence[Tensor],
        corner: tuple[int, int],
    ) -> dict[str, Tensor]:
        vgg, names, terms = self.gallery.vgg, set(self.compared), {}
        seen = vgg(halved(output), COARSE)
        if {"content", "identity_features"} & names:
            with torch.no_grad():
                kept = vgg(halved(content), COARSE if "identity_features" in names else CONTENT)
        if "content" in names:
            unit = vgg.unit
            layers = [
                losses.content_loss(seen[k].float() / unit, instance_normalised(kept[k].float() / unit))
                for k in CONTENT
            ]
            terms["content"] = torch.stack(layers).mean()
        if "identity_features" in names:
            each = torch.stack([losses.feature_difference(seen[k], kept[k]) for k in COARSE]).mean(0)  # (B,)
            terms["identity_features"] = (each * (1 - styled)).mean()
        if rows:
            terms |= self._textures(output, list(seen.values()), styled, rows, corner)
        return terms

    def _textures(
        self,
        output: Tensor,
        seen: Sequence[Tensor],
        styled: Tensor,
        rows: Sequence[Tensor],
        corner: tuple[int, int],
    ) -> dict[str, Tensor]:
        """``seen``: VGG-16's maps of paintings (B, 3, H, W) at half size, by layer of COARSE."""
        how, terms = self.own.texture, {}
        many = 4 * len(COARSE)
        coarse, fine = Texture.of_rows(rows[:many]), Texture.of_rows(rows[many:])
        if "style" in self.compared:
            layers = zip(COARSE.values(), seen, texture_statistics(coarse), self.gallery.spreads, strict=True)
            each = torch.stack([share * losses.style_loss(x, wanted, s) for share, x, wanted, s in layers])
            # The root, a distance: a picture that is far from its style pulls no harder than one nearly there.
            terms["style"] = ((each.sum(0) + 1e-6).sqrt() * styled).mean()
        if "strokes" in self.compared:
            (y, x), side = corner, how.window or output.shape[-1]
            layer_names = list(COARSE)[: how.maps]
            window = self.gallery.vgg(output[..., y : y + side, x : x + side], layer_names)
            with torch.autocast(output.device.type, enabled=False):  # squares of sums need all digits
                squared = how.coarse * coarse.apart(seen) + how.fine * fine.apart(list(window.values()))
            terms["strokes"] = ((squared + 1e-4).sqrt() * styled).mean()
        return terms


def own_pictures(batch: Batch, side: int) -> Tensor:
    """The batch's photographs as styles, (B, 3, side, side)."""
    return F.interpolate(batch.content, side, mode="bilinear")


def validation(recipe: Recipe, data: Any) -> tuple[list[Path], list[Path]] | None:
    """Photographs and styles of the contact sheets; None where the recipe names none."""
    if not (data.val_content and data.val_style):
        return None
    photographs, styles = (list_images([recipe.path(p)]) for p in (data.val_content, data.val_style))
    return photographs, styles
