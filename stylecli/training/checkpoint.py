"""Checkpoints that resume exactly, written so that a kill never leaves a broken one; and weights for release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from stylecli.errors import WeightsError
from stylecli.memory import give_back
from stylecli.models.packing import pack

RELEASE = "release.safetensors"  # in the folder of a run: its averaged weights, ready to be used


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


class State:
    """What a run is made of, and its file: module, moving average, optimizer, step, time spent, averaged losses."""

    def __init__(self, path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, decay: float):
        self.path, self.module, self.optimizer = path, module, optimizer
        self.ema = Ema(module, decay)
        self.step, self.seconds = 0, 0.0
        self.running: dict[str, float] = {}

    def load(self) -> bool:
        """Go on from the file, if there is one; whether there was. Raises WeightsError for a broken one."""
        if not self.path.exists():
            return False
        tensors, record = load_checkpoint(self.path)
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "ema": {}, "adam": {}}
        for name, value in tensors.items():
            part, key = name.split(".", 1)
            parts[part][key] = value
        self.module.load_state_dict(parts["model"])
        device = next(self.module.parameters()).device
        self.ema.values = {k: v.to(device) for k, v in parts["ema"].items()}
        restore_optimizer(self.optimizer, parts["adam"])
        self.step, self.seconds = record["step"], record["seconds"]
        return True

    def save(self, extra: dict[str, Any]) -> None:
        tensors = {f"model.{k}": v for k, v in self.module.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.values.items()}
        tensors |= {f"adam.{k}": v for k, v in optimizer_tensors(self.optimizer).items()}
        save_checkpoint(self.path, tensors, self.record(extra))

    def averaged(self, part: str = "") -> dict[str, torch.Tensor]:
        """The moving average of the parameters under the prefix ``part``, without it."""
        return {k.removeprefix(part): v for k, v in self.ema.values.items() if k.startswith(part)}

    def release(
        self, path: Path, config: str, extra: dict[str, Any], part: str = "", eight_bits: Sequence[str] = ()
    ) -> None:
        """Write :meth:`averaged` as weights that can be used."""
        save_release(path, self.averaged(part), config, self.record(extra), eight_bits)

    def record(self, extra: dict[str, Any]) -> dict[str, Any]:
        return {"step": self.step, "seconds": self.seconds, **extra}

    def finish_step(self, terms: dict[str, torch.Tensor]) -> None:
        """Count a step and average its losses."""
        self.step += 1
        if self.step % 50 == 0:
            give_back()  # what is kept of pictures lies scattered among what steps free: 10 GB after 600 steps
        self.ema.update(self.module, self.step)
        for name, value in terms.items():
            v = float(value.detach())
            self.running[name] = (
                v if name not in self.running else self.running[name] + 0.02 * (v - self.running[name])
            )

    def log(self, path: Path, extra: str = "") -> None:
        line = " ".join(f"{k} {v:.4f}" for k, v in self.running.items())
        with path.open("a") as file:
            file.write(f"{self.step} {self.seconds:.0f}s {line} {extra}\n")


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


def save_release(
    path: Path,
    weights: dict[str, torch.Tensor],
    config: str,
    training: dict[str, Any],
    eight_bits: Sequence[str] = (),
) -> None:
    """Safetensors for the package: parameters as :func:`pack` stores them, configuration and training record."""
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(pack(weights, eight_bits), part, metadata={"config": config, "training": json.dumps(training)})
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
