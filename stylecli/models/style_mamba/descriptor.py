"""StyleMamba as the rest sees it: a fusion module between an auto-encoder's halves, and what understands phrases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor, MemoryProfile

if TYPE_CHECKING:
    from torch import nn

    from stylecli.models.siglip import Siglip
    from stylecli.models.style_mamba.model import StyleMamba

AUTOENCODER = "autoencoder.safetensors"
"""Beside a StyleMamba of one's own: the auto-encoder whose decoder was trained with it."""


def _build(config: str) -> StyleMamba:
    from stylecli.models.style_mamba.config import StyleMambaConfig
    from stylecli.models.style_mamba.model import StyleMamba

    return StyleMamba(StyleMambaConfig.from_json(config))


def _files(fusion: Path, own: bool) -> Sequence[Path]:
    """The fusion module, the auto-encoder and the text-image encoder."""
    from stylecli.weights import locate

    beside = fusion.with_name(AUTOENCODER)
    return fusion, beside if own and beside.is_file() else locate("autoencoder-s"), locate("siglip-s")


def _assemble(fusion: nn.Module, files: Sequence[Path]) -> tuple[nn.Module, Siglip]:
    import torch

    from stylecli.models.autoencoder.model import Autoencoder
    from stylecli.models.registry import load_network
    from stylecli.models.siglip import load_siglip
    from stylecli.models.style_mamba.model import StyleMamba
    from stylecli.models.style_mamba.painter import TextPainter

    autoencoder, encoder = load_network(files[1], "autoencoder"), load_siglip(files[2])
    assert isinstance(fusion, StyleMamba) and isinstance(autoencoder, Autoencoder)
    with torch.inference_mode():
        photograph = encoder.encode_text(["a photo"]).clone()
    return TextPainter(fusion, autoencoder, photograph), encoder


DESCRIPTOR = Descriptor(
    "style-mamba",
    _build,
    settings=frozenset({"embedding", "code", "texture"}),
    guided_by="phrase",
    files=_files,
    assemble=_assemble,
    margin=8,
    memory=MemoryProfile(held=80),
    bf16_on_cpu=True,
)
