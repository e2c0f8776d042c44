"""The feature network as the rest sees it: what refining and polishing measure style by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from stylecli.models.style_features.model import StyleFeatures


def _build(config: str) -> StyleFeatures:
    from stylecli.models.style_features.config import StyleFeaturesConfig
    from stylecli.models.style_features.model import StyleFeatures

    return StyleFeatures(StyleFeaturesConfig.from_json(config))


DESCRIPTOR = Descriptor("style-features", _build, settings=frozenset({"trunk", "trunk_blocks"}))
