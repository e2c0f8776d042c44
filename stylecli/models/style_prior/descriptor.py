"""The style prior as the rest sees it: what makes styles of phrases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from stylecli.models.style_prior.model import StylePrior


def _build(config: str) -> StylePrior:
    from stylecli.models.style_prior.config import StylePriorConfig
    from stylecli.models.style_prior.model import StylePrior

    return StylePrior(StylePriorConfig.from_json(config))


DESCRIPTOR = Descriptor("style-prior", _build, settings=frozenset({"artworks", "labels", "members"}))
