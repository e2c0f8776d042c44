"""The papers' own networks as the rest sees them: made of published parts, around a fusion module that starts anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stylecli.errors import WeightsError
from stylecli.models.backbones import BACKBONES, SIGLIP
from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from torch import nn

    from stylecli.models.backbones.encoder import PublishedSiglip


def _build(config: str) -> nn.Module:
    raise WeightsError("the papers' networks are not read from one file")


def _make(name: str, seed: int) -> tuple[nn.Module, PublishedSiglip]:
    from stylecli.models.backbones.load import load_backbone

    return load_backbone(name, seed)


def _made_of(name: str) -> Sequence[str]:
    return BACKBONES[name][0], SIGLIP


DESCRIPTOR = Descriptor(
    "backbone",
    _build,
    guided_by="phrase",
    names=tuple(BACKBONES),
    make=_make,
    made_of=_made_of,
    memory=None,
    bf16_on_cpu=True,
)
