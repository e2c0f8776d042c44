"""From a weights file to a module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from stylecli.errors import WeightsError
from stylecli.models.packing import unpack

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
        module.load_state_dict(unpack(tensors), assign=True)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: not weights of {kind} ({str(error).splitlines()[0]})") from None
    return module.eval().requires_grad_(False)
