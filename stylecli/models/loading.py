"""From a weights file to a module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from stylecli.errors import WeightsError

Module = TypeVar("Module", bound=nn.Module)


def load_module(path: Path, kind: str, build: Callable[[str], Module]) -> Module:
    """Build a network from safetensors with the configuration (JSON) in their metadata; in eval mode, fixed, float32.

    Raises:
        WeightsError: the file cannot be read or is of another architecture.
    """
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
        # Not on the device "meta": its arithmetic imports torch's compiler, which takes a hundred times longer than
        # initialising such small networks. The caller's random numbers stay as they were.
        with torch.random.fork_rng(devices=()):
            module = build(config)
        module.load_state_dict({k: _as_computed(v) for k, v in tensors.items()}, assign=True)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: not weights of {kind} ({str(error).splitlines()[0]})") from None
    return module.eval().requires_grad_(False)


def _as_computed(tensor: Tensor) -> Tensor:
    """In float32; weights of convolutions channels last."""
    layout = torch.channels_last if tensor.dim() == 4 else torch.preserve_format
    return tensor.to(torch.float32, memory_format=layout)
