"""The Python API: a network with a style in hand. The command line uses nothing else.

>>> paint = Stylizer.from_pretrained("stylerwkv-s").encode_style(style_image)
>>> painted = paint(photo)
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from stylecli.devices import choose_device, choose_dtype
from stylecli.errors import OutOfMemoryError, UsageError, WeightsError, is_out_of_memory
from stylecli.memory import give_back, keep_freed
from stylecli.models.descriptor import Descriptor
from stylecli.models.registry import load_painter
from stylecli.paint.encode import style_of_image
from stylecli.paint.forward import fill, paint_at
from stylecli.paint.palette import SIDE, Palette
from stylecli.paint.photo import Canvas, Photo
from stylecli.paint.pixels import strips
from stylecli.paint.progress import ProgressLog
from stylecli.paint.settings import PICTURES, Settings
from stylecli.paint.size import resize, working_size
from stylecli.paint.style import Style
from stylecli.tiling import LazyFeatureMap
from stylecli.weights.store import looks_like_path

if TYPE_CHECKING:
    from stylecli.models.backbones.encoder import PublishedSiglip
    from stylecli.models.siglip import Siglip

log = logging.getLogger(__name__)

Picture = TypeVar("Picture", Image.Image, np.ndarray[Any, Any], Tensor)


@dataclass(frozen=True)
class Stylizer:
    """A painting network, and the style it holds. Immutable: ``encode_style`` returns another one.

    Attributes:
        network: the module, shared between all stylizers made from this one.
        encoder: what understands prompts, where the network is guided by text.
        weights: fingerprint of the network's numbers, before any refinement.
        style: the style in hand; None until ``encode_style``, ``encode_prompt`` or ``with_style``.
        tile: rows of the strips in which pictures are painted (see :mod:`stylecli.tiling`; the result is the same);
            0: at once; None: at once where memory suffices.
        memory_limit: bytes that the whole process may take; None: what is free.
    """

    network: nn.Module
    descriptor: Descriptor
    device: torch.device
    dtype: torch.dtype
    encoder: Siglip | PublishedSiglip | None = None
    weights: str = ""
    style: Style | None = None
    tile: int | None = None
    memory_limit: int | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = PICTURES,
        *,
        device: str = "auto",
        dtype: str = "auto",
        weights: Path | None = None,
        seed: int = 0,
        tile: int | None = None,
        memory_limit: int | None = None,
    ) -> Stylizer:
        """Load a network.

        Args:
            name: an entry of ``weights.toml``: "stylerwkv-s" paints like an image or a phrase, "stylemamba-s" like a
                phrase; a weights file; or "siglip-sd" or "siglip-taesd", the papers' networks, which give the
                photograph back until refined.
            device: auto, cpu, cuda, cuda:1, mps or xpu. dtype: auto, fp32, bf16 or fp16.
            weights: a file to use instead of the named entry's own.
            seed: what an untrained network starts from.
            tile, memory_limit: as in :class:`Stylizer`.

        Raises:
            WeightsError: missing or damaged weights. UsageError: a device or dtype that is not there.
        """
        name = os.fspath(name)
        if looks_like_path(name):
            name, weights = PICTURES, Path(name)
        if device != "auto":  # told before anything is loaded, if it is not there
            choose_device(device)
        painter = load_painter(name, weights, seed)
        where = choose_device(device, name, weights)
        precision = choose_dtype(dtype, where, painter.descriptor.bf16_on_cpu, name, weights)
        if memory_limit is None:
            keep_freed()
        return cls(
            painter.network.to(where, precision),
            painter.descriptor,
            where,
            precision,
            painter.encoder,
            painter.fingerprint,
            tile=tile,
            memory_limit=memory_limit,
        )

    @property
    def settings(self) -> Settings:
        """What of the network and of where it runs changes a pixel (see :mod:`stylecli.paint.options`)."""
        dtype = str(self.dtype).removeprefix("torch.")
        return {"weights": self.weights, "device": self.device.type, "dtype": dtype}

    def encode_style(
        self,
        image: Image.Image | np.ndarray[Any, Any] | Tensor,
        *,
        texture: bool = False,
        features: str | Path = "",
    ) -> Stylizer:
        """A stylizer that paints in the style of ``image``.

        ``texture``: one that can be refined, and polish, too. ``features``: the network by which it sees textures then,
        a name of ``weights.toml`` ("vgg16") or a file; without one StyleRWKV's own style feature network.

        The style is encoded at a short side of 288 pixels, whatever its own size: training saw it 256 pixels large,
        and a little more keeps more of the photograph.

        Raises UsageError where the network takes phrases alone, WeightsError for ``features`` that are not there.
        """
        return self.with_style(style_of_image(self, Photo(image), features if texture or features else None))

    @property
    def vector_size(self) -> int:
        """Length of the style vectors, StyleRWKV's, that the network paints after; 0: it has none."""
        return int(getattr(self.network, "vector_size", 0))

    def encode_prompt(self, prompt: str, take: int = 0) -> Stylizer:
        """A stylizer that paints as a phrase says, such as "Paul Gauguin style"; an empty one leaves the choice to
        the network. ``take``: another style of the same phrase, where the network paints after style vectors.

        Raises UsageError where the network takes style images alone."""
        if self.vector_size:
            from stylecli.paint.phrases import DETAIL, load_phrases

            phrases = load_phrases()
            if self.encoder is None:
                with torch.inference_mode():
                    phrases.check(self.network)
            vector, embedding = phrases.style(prompt, take)
            if self.encoder is None:
                return self.with_style(Style(vector, self.weights, detail=DETAIL))
            return self.with_style(Style(torch.cat([vector, embedding], 1), self.weights))
        if self.encoder is None:
            raise UsageError(
                "this network paints like a style image: give it one (--style, encode_style), or take stylemamba-s "
                "for phrases"
            )
        from stylecli.models.siglip import Siglip
        from stylecli.paint.phrases import warn_if_out_of_domain

        with torch.inference_mode():
            if isinstance(self.encoder, Siglip):
                warn_if_out_of_domain(self.encoder, prompt)
            return self.with_style(Style(self.encoder.encode_text([prompt]).clone(), self.weights))

    def with_style(self, style: Style) -> Stylizer:
        """A stylizer that paints in an already encoded style. Raises UsageError where another network encoded it, and
        WeightsError for values that are no numbers."""
        size, wanted = style.vector.shape[1], self.network.style_size
        if size != wanted or style.network not in (None, self.weights):
            raise UsageError("this style was encoded by another network or by other weights: encode it again")
        if not style.vector.isfinite().all():
            raise WeightsError(
                "this style holds values that are no numbers: the file, or the weights, are damaged"
            )
        return replace(self, style=style)

    def refine(self, iterations: int = 60, seed: int = 0) -> Stylizer:
        """A stylizer whose network was adapted to the style in hand; a style image has to be encoded with its texture.
        Kept in the cache. Raises UsageError as :func:`stylecli.paint.refine.refined` does."""
        from stylecli.paint.refine import refined

        return refined(self, iterations, seed)

    def __call__(
        self,
        photo: Picture,
        *,
        strength: float = 1.0,
        preserve_color: bool = False,
        stroke_size: float = 1.0,
        seed: int = 0,
        polish: int = 0,
        colour_only: bool = False,
        mask: Image.Image | np.ndarray[Any, Any] | None = None,
    ) -> Picture:
        """Paint a photograph in the style in hand.

        Args:
            photo: a Pillow picture, an array (H, W, 3) of uint8, uint16 or floats in 0..1, or a tensor (3, H, W) or
                (B, 3, H, W) of floats in 0..1; sRGB.
            strength: 0 gives the photograph back, 1 the style in full.
            preserve_color: take only lightness from the painting, colours from the photograph.
            stroke_size: apparent size of the strokes relative to the default, which suits a picture that fills
                a screen. Smaller strokes than the picture's own pixels allow are not possible.
            seed: decides where strokes fall in flat places; the same seed gives the same painting.
            polish: iterations on the pixels of the painting itself, towards the texture of its style, which has to be
                encoded with ``texture=True`` (:mod:`stylecli.paint.polish`).
            colour_only: take only the colours of the style (:mod:`stylecli.paint.palette`); of a phrase, those in which
                the network paints this photograph.
            mask: where to paint: a Pillow picture, or an array (H, W) or (H, W, 3), of uint8, uint16 or floats in 0..1,
                in any size. The photograph stays where it is black, or transparent.

        Returns:
            The painting, of the same type and size as ``photo``.

        Raises:
            UsageError: no style yet, or a value out of range. OutOfMemoryError: the picture is too large.
        """
        if self.style is None:
            raise UsageError("no style yet: call encode_style(image) or with_style(style) first")
        if not 0 <= strength <= 1:
            raise UsageError(f"strength {strength:g} is not between 0 and 1")
        if not stroke_size > 0:
            raise UsageError(f"stroke size {stroke_size:g} is not above 0")
        if polish and self.style.texture is None:
            raise UsageError("only what is painted after a style image can be polished")
        if colour_only and (preserve_color or polish):
            raise UsageError(
                "with the style's colours alone neither the photograph's nor polished strokes can be had"
            )
        try:
            with torch.inference_mode():
                if colour_only and strength > 0:
                    painted = self._recoloured(Photo(photo), strength, seed)
                else:
                    painted = self._paint(Photo(photo), strength, preserve_color, stroke_size, seed, polish)
        except Exception as error:
            if isinstance(error, OutOfMemoryError) or not is_out_of_memory(error):
                raise
            raise OutOfMemoryError("not enough memory for this picture: use --max-size") from error
        if mask is None:
            return painted  # type: ignore[no-any-return]
        from stylecli.paint.regions import as_mask, lay_like

        return lay_like(painted, as_mask(mask), photo)

    def _paint(
        self,
        photo: Photo,
        strength: float,
        preserve_color: bool,
        stroke_size: float,
        seed: int,
        polish: int,
    ) -> Any:
        """The painting, of the same kind and size as ``photo``."""
        canvas = Canvas(photo)
        if strength == 0:
            for top, bottom in strips(photo.height, photo.width):
                canvas.put(top, photo.rows(top, bottom))
            return canvas.done()
        if self.device.type != "cpu":
            photo = photo.on(self.device)
        size = working_size(
            photo.height, photo.width, self.descriptor.working_side, stroke_size, self.descriptor.smallest
        )
        small, painted = paint_at(self, photo, size, 1.0 if polish else strength, seed)
        if polish:
            painted = self._polished(painted, small, strength, polish)
        tight = isinstance(painted, LazyFeatureMap) or self.memory_limit is not None
        fill(canvas, painted, small, photo, self.device, preserve_color)
        del small, painted
        if tight:
            give_back()
        return canvas.done()

    def _recoloured(self, photo: Photo, strength: float, seed: int) -> Any:
        """The photograph in the colours of the style."""
        assert self.style is not None
        size = working_size(photo.height, photo.width, SIDE, 1.0, self.descriptor.smallest)
        small, wanted = resize(photo, size, self.device), self.style.palette
        if wanted is None:
            painted = paint_at(self, Photo(small), size, 1.0, seed)[1]
            wanted = Palette.of(painted.whole() if isinstance(painted, LazyFeatureMap) else painted)
        own, canvas = Palette.of(small), Canvas(photo)
        for top, bottom in strips(photo.height, photo.width):
            rows = photo.rows(top, bottom).to(self.device)
            canvas.put(top, torch.lerp(rows, wanted.recolour(rows, own), strength))
        return canvas.done()

    def _polished(
        self, painted: Tensor | LazyFeatureMap, small: Photo, strength: float, iterations: int
    ) -> Tensor:
        from stylecli.paint.polish import polish

        assert self.style is not None and self.style.texture is not None and self.style.features is not None
        whole = painted.whole() if isinstance(painted, LazyFeatureMap) else painted
        photo = small.all().to(whole.device, whole.dtype)
        texture = self.style.texture.to(self.device)
        progress = ProgressLog("polishing", "loss", iterations, every=10)
        polished = polish(whole, photo, texture, self.style.features, iterations, progress)
        return polished if strength == 1 else torch.lerp(photo, polished, strength)
