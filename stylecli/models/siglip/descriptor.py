"""The text-image encoder as the rest sees it: a part of StyleMamba."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from stylecli.models.siglip.model import Siglip


def _build(config: str) -> Siglip:
    from stylecli.models.siglip.config import SiglipConfig
    from stylecli.models.siglip.model import Siglip

    return Siglip(SiglipConfig.from_json(config))


DESCRIPTOR = Descriptor("siglip", _build, settings=frozenset({"vocabulary", "text_layers"}))
