"""A style image as a network sees it: its vector, its colours and, where that is wanted, its texture."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stylecli.errors import UsageError
from stylecli.models.registry import load_painter
from stylecli.models.texture import FeatureNetwork
from stylecli.paint.palette import SIDE, Palette
from stylecli.paint.photo import Photo
from stylecli.paint.settings import PICTURES
from stylecli.paint.size import resize
from stylecli.paint.style import Style

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer

_LONGEST = 4  # a style is encoded up to this many times longer than wide


def style_of_image(stylizer: Stylizer, photo: Photo, features: str | Path | None) -> Style:
    """``features``: None where no texture is wanted; else, and what is raised: as of ``Stylizer.encode_style``."""
    with torch.inference_mode():
        if stylizer.encoder is None:
            seen = _fitted(stylizer, photo, stylizer.descriptor.style_side)
            encoded = stylizer.network.encode_style(seen.to(stylizer.dtype))  # type: ignore[operator]
        else:
            encoded = _read_style(stylizer, photo)
        palette = Palette.of(_fitted(stylizer, photo, SIDE))
    style = Style(encoded.float().cpu().clone(), stylizer.weights, palette=palette)
    if features is None:
        return style
    from stylecli.paint.measure import texture_of

    network = _features(stylizer, features)
    # As large as what is painted with it: strokes get the size that they have there.
    large = _fitted(stylizer, photo, stylizer.descriptor.working_side)
    return replace(style, texture=texture_of(network, large), features=network)


def _read_style(stylizer: Stylizer, photo: Photo) -> Tensor:
    """Style vector of a picture, and no phrase: (1, style_size), for a network that paints after both."""
    if not stylizer.vector_size:
        raise UsageError(
            "this network paints like a phrase: give it one (--prompt, encode_prompt), or take stylerwkv-s "
            "(--model) for style images"
        )
    reader: Any = load_painter(PICTURES).network.to(stylizer.device)
    vector = reader.encode_style(_fitted(stylizer, photo, stylizer.descriptor.style_side)).float()
    return torch.cat([vector, vector.new_zeros(1, stylizer.network.style_size - stylizer.vector_size)], 1)  # type: ignore[operator]


def _fitted(stylizer: Stylizer, photo: Photo, side: int) -> Tensor:
    """A style image with a short side of ``side`` pixels, (1, 3, h, w); what is very long is squeezed."""
    scale = side / min(photo.height, photo.width)
    h, w = (
        max(stylizer.descriptor.smallest, min(_LONGEST * side, round(n * scale)))
        for n in (photo.height, photo.width)
    )
    return resize(photo, (h, w), stylizer.device)


def _features(stylizer: Stylizer, name: str | Path) -> FeatureNetwork:
    """What textures are measured by, in float32."""
    from stylecli.paint.measure import feature_network

    if name:
        return feature_network(name, stylizer.device)
    network, descriptor = stylizer.network, stylizer.descriptor
    if descriptor.features is None:
        painter = load_painter(PICTURES)
        network, descriptor = painter.network.to(stylizer.device), painter.descriptor
    assert descriptor.features is not None
    return descriptor.features(network if stylizer.dtype == torch.float32 else copy.deepcopy(network).float())
