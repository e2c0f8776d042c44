"""A small text-image encoder (SigLIP). Loaded on first use: its tokenizer's library takes its time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylecli.models.siglip.config import SiglipConfig
    from stylecli.models.siglip.model import Siglip, load_siglip

__all__ = ["Siglip", "SiglipConfig", "load_siglip"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "config" if name == "SiglipConfig" else "model"
    return getattr(import_module(f"{__name__}.{home}"), name)
