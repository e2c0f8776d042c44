"""From names and files to networks that paint: which parts each kind has, and what the rest must know about it.

Each kind is imported when one of it is wanted: a command uses one or two of them, and all together take a twentieth of
a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import nn

from stylecli.errors import UsageError, WeightsError
from stylecli.models.backbones import BACKBONES
from stylecli.models.descriptor import Descriptor, MemoryProfile, Painter
from stylecli.models.loading import load_module
from stylecli.weights import load_manifest, locate

if TYPE_CHECKING:
    from stylecli.models.autoencoder.model import Autoencoder
    from stylecli.models.style_mamba.model import StyleMamba
    from stylecli.models.style_rwkv.model import StyleRwkv

AUTOENCODER = "autoencoder.safetensors"
"""Beside a StyleMamba of one's own: the auto-encoder whose decoder was trained with it."""


def _style_rwkv(config: str) -> StyleRwkv:
    from stylecli.models.style_rwkv.config import StyleRwkvConfig
    from stylecli.models.style_rwkv.model import StyleRwkv

    return StyleRwkv(StyleRwkvConfig.from_json(config))


def _style_mamba(config: str) -> StyleMamba:
    from stylecli.models.style_mamba.config import StyleMambaConfig
    from stylecli.models.style_mamba.model import StyleMamba

    return StyleMamba(StyleMambaConfig.from_json(config))


def _autoencoder(config: str) -> Autoencoder:
    from stylecli.models.autoencoder.config import AutoencoderConfig
    from stylecli.models.autoencoder.model import Autoencoder

    return Autoencoder(AutoencoderConfig.from_json(config))


# A module of every kind that weights files hold, from its configuration (JSON text).
BUILDERS: dict[str, Callable[[str], nn.Module]] = {
    "style-rwkv": _style_rwkv,
    "style-mamba": _style_mamba,
    "autoencoder": _autoencoder,
}


def load_painter(name: str, weights: Path | None = None, seed: int = 0) -> Painter:
    """A painting network of ``weights.toml`` with all its parts; ``weights`` replaces the file of the network itself.

    A name of ``BACKBONES`` gives the papers' own networks, with a painting network that starts untrained from ``seed``.

    Raises:
        WeightsError: missing or damaged weights, or no network that paints.
        UsageError: ``weights`` for a backbone, or its libraries are not installed.
    """
    if name in BACKBONES:
        if weights is not None:
            raise UsageError(f"--weights {weights}: none can be trained for --backbone {name}")
        from stylecli.models.backbones.load import load_backbone

        painter, published = load_backbone(name, seed)
        return Painter(painter, Descriptor(memory=None, bf16_on_cpu=True), published)
    known = load_manifest().get(name)
    kind = "style-rwkv" if known is None else known.kind  # a path to a file of one's own
    path = locate(name if weights is None else weights)
    if kind == "style-rwkv":
        return Painter(load_network(path, kind), Descriptor())
    if kind != "style-mamba":
        raise WeightsError(f"weights {name}: of kind {kind}, which does not paint")
    beside = path.with_name(AUTOENCODER)
    return _text_painter(
        path, beside if weights is not None and beside.is_file() else locate("autoencoder-s")
    )


def _text_painter(fusion_path: Path, autoencoder_path: Path) -> Painter:
    from stylecli.models.autoencoder.model import Autoencoder
    from stylecli.models.siglip import load_siglip
    from stylecli.models.style_mamba.model import StyleMamba
    from stylecli.models.style_mamba.painter import TextPainter

    fusion, autoencoder = (
        load_network(fusion_path, "style-mamba"),
        load_network(autoencoder_path, "autoencoder"),
    )
    assert isinstance(fusion, StyleMamba) and isinstance(autoencoder, Autoencoder)
    encoder = load_siglip(locate("siglip-s"))
    with torch.inference_mode():
        photograph = encoder.encode_text(["a photo"]).clone()
    descriptor = Descriptor(margin=8, memory=MemoryProfile(held=80), bf16_on_cpu=True)
    return Painter(TextPainter(fusion, autoencoder, photograph), descriptor, encoder)


def load_network(path: Path, kind: str = "style-rwkv") -> nn.Module:
    """A module of one of the kinds of BUILDERS from its weights file. Raises WeightsError."""
    return load_module(path, kind, BUILDERS[kind])


def training_record(path: Path) -> dict[str, Any]:
    """How the weights were trained, as ``stylize train`` wrote it; empty where it did not, or wrote something else."""
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("training", "{}")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return {}
