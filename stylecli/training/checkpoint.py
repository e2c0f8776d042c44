"""Checkpoints that resume exactly, written so that a kill never leaves a broken one; and weights for release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from stylecli.errors import WeightsError


class Ema:
    """Exponential moving average of a module's floating-point parameters; the copy is what gets shipped."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # short memory at first
        for name, value in module.state_dict().items():
            self.values[name].lerp_(value, 1 - decay)


def save_checkpoint(path: Path, tensors: dict[str, torch.Tensor], record: dict[str, Any]) -> None:
    """Write tensors and a JSON record to ``path`` (safetensors) by way of a temporary file."""
    part = path.with_suffix(".part")
    unique = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    save_file(unique, part, metadata={"record": json.dumps(record)})
    part.replace(path)


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What :func:`save_checkpoint` wrote. Raises WeightsError."""
    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})["record"])
        return load_file(path), record
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a checkpoint of stylecli ({error})") from None


def save_release(path: Path, weights: dict[str, torch.Tensor], config: str, training: dict[str, Any]) -> None:
    """Float16 safetensors for the package: parameters, the network's configuration and the training record."""
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {k: v.detach().cpu().half().contiguous() for k, v in weights.items()}
    save_file(half, part, metadata={"config": config, "training": json.dumps(training)})
    part.replace(path)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Adam's state as flat tensors ``<parameter>.<field>``."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, entry in state.items() for k, v in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Inverse of :func:`optimizer_tensors`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        index, field = name.split(".", 1)
        state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
