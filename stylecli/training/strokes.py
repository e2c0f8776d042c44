"""The loss ``strokes``: texture at two scales, with what it wants of every style kept after the first time.

VGG-16 sees the painting at half size, so that strokes are wide enough to be seen; the style reader, which is cheaper,
sees a window of it at full size. Both compare what :class:`stylecli.models.texture.Texture` holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stylecli.errors import UsageError
from stylecli.metrics.vgg import Vgg16
from stylecli.models.texture import Texture
from stylecli.training.data import StyleImages
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import COARSE
from stylecli.training.recipe import Recipe
from stylecli.training.texture import TextureSettings, load_reader


class Strokes:
    """Args:
    coarse: styles as VGG-16 sees them, beside paintings of half their size. fine: as the reader sees them.
    crops: sides of the paintings.
    """

    def __init__(
        self,
        settings: TextureSettings,
        recipe: Recipe,
        worker: Worker,
        vgg: Vgg16,
        coarse: StyleImages,
        fine: StyleImages,
        crops: Sequence[int],
    ):
        window = settings.window
        if window % 8 or not 8 <= window <= min(crops):
            raise UsageError(
                f"{recipe.name}: texture.window = {window}: must be a multiple of 8 and fit into the crops"
            )
        if not 1 <= settings.window_maps <= 4:
            raise UsageError(f"{recipe.name}: texture.window_maps = {settings.window_maps}: choose 1 to 4")
        self.settings, self.worker, self.vgg = settings, worker, vgg
        self.reader = load_reader(settings, recipe, worker)
        self.coarse, self.fine = coarse, fine
        self._kept: dict[int, tuple[Texture, Texture]] = {}

    def loss(
        self, output: Tensor, coarse: Sequence[Tensor], drawn: list[int], corner: tuple[int, int]
    ) -> Tensor:
        """Distance of paintings from their styles, the root of the weighted sum of both scales.

        Args:
            output: (B, 3, H, W). coarse: VGG-16's maps (B, C, h, w) of it at half size, by layer of COARSE.
            drawn: numbers of the styles. corner: of the window, down and across.

        Returns:
            (B,).
        """
        (y, x), side = corner, self.settings.window
        fine = self._maps(output[..., y : y + side, x : x + side])
        wanted = [self._wanted(number) for number in drawn]
        squared = output.new_zeros(len(output), dtype=torch.float32)
        with torch.autocast(self.worker.device.type, enabled=False):  # squares of sums need all digits
            for scale, (weight, maps) in enumerate(
                ((self.settings.coarse, coarse), (self.settings.fine, fine))
            ):
                style = Texture.batch([both[scale] for both in wanted]).to(torch.float32)
                squared = squared + weight * style.apart(maps)
        return (squared + 1e-4).sqrt()

    def _maps(self, image: Tensor) -> list[Tensor]:
        return self.reader.maps(image)[: self.settings.window_maps]

    @torch.no_grad()
    def _wanted(self, number: int) -> tuple[Texture, Texture]:
        if number not in self._kept:
            small, large = (s.read(number)[None].to(self.worker.device) for s in (self.coarse, self.fine))
            with self.worker.precision():
                seen = self.vgg(small, COARSE)
                maps = ([seen[k] for k in COARSE], self._maps(large))
            with torch.autocast(self.worker.device.type, enabled=False):
                coarse, fine = (Texture.of(seen).to(torch.float16) for seen in maps)
            self._kept[number] = coarse, fine
        return self._kept[number]
