"""The auto-encoder as the rest sees it: a part of StyleMamba."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from stylecli.models.autoencoder.model import Autoencoder


def _build(config: str) -> Autoencoder:
    from stylecli.models.autoencoder.config import AutoencoderConfig
    from stylecli.models.autoencoder.model import Autoencoder

    return Autoencoder(AutoencoderConfig.from_json(config))


DESCRIPTOR = Descriptor("autoencoder", _build, settings=frozenset({"latent", "coarse", "fine"}))
