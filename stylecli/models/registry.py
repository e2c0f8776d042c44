"""What there is to know about each network before it is built: one descriptor per kind, no special cases elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from stylecli.errors import WeightsError
from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv


@dataclass(frozen=True)
class Descriptor:
    """One kind of network.

    Attributes:
        build: configuration (JSON text) to a module with ``encode_style`` and ``forward(content, style, seed)``.
        smallest: least height and width that the module takes.
        working_side: short side, in pixels, at which a photograph is painted by default. Strokes have a size in
            pixels; a picture painted at this size and then enlarged looks painted when it fills a screen.
        style_side: short side at which a style is encoded, within what training showed of it.
    """

    build: Callable[[str], nn.Module]
    smallest: int
    working_side: int
    style_side: int


DESCRIPTORS = {
    "style-rwkv": Descriptor(
        build=lambda config: StyleRwkv(StyleRwkvConfig.from_json(config)),
        smallest=16,
        working_side=512,
        style_side=384,
    ),
}


def load_network(path: Path, kind: str = "style-rwkv") -> tuple[nn.Module, Descriptor]:
    """Build a network from its weights file (safetensors with the configuration in its metadata).

    Raises:
        WeightsError: the file cannot be read or is of another architecture.
    """
    descriptor = DESCRIPTORS[kind]
    try:
        with safe_open(path, "pt") as file:
            config = (file.metadata() or {}).get("config")
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: weights cannot be read ({str(error).splitlines()[0]})") from None
    if config is None:
        raise WeightsError(
            f"{path}: no configuration in the file's metadata; was it written by stylize train?"
        )
    try:
        # Parameters come from the file: no time spent on initialising them.
        with torch.device("meta"):
            module = descriptor.build(config)
        module.load_state_dict({k: v.float() for k, v in tensors.items()}, assign=True)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: not weights of {kind} ({str(error).splitlines()[0]})") from None
    return module.to(memory_format=torch.channels_last).eval().requires_grad_(False), descriptor  # type: ignore[call-overload]


def training_record(path: Path) -> dict[str, Any]:
    """How the weights were trained, as ``stylize train`` wrote it; empty where it did not."""
    with safe_open(path, "pt") as file:
        return dict(json.loads((file.metadata() or {}).get("training", "{}")))
