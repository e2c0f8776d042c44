"""Checkpoints that resume exactly, written so that a kill never leaves a broken one; and weights for release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from stylecli.errors import WeightsError
from stylecli.files.atomic import atomic_path
from stylecli.models.packing import pack
from stylecli.models.registry import kind_of
from stylecli.weights.identity import described

CHECKPOINT = "checkpoint.safetensors"
RELEASE = "release.safetensors"  # in the folder of a run: its averaged weights, ready to be used


def save_checkpoint(path: Path, parts: dict[str, dict[str, Tensor]], record: dict[str, Any]) -> None:
    """Write tensors, by the part that they belong to, and a JSON record to ``path`` (safetensors)."""
    tensors = {
        f"{part}.{k}": v.detach().cpu().contiguous() for part, of in parts.items() for k, v in of.items()
    }
    write_tensors(path, tensors, {"record": json.dumps(record)})


def load_record(path: Path) -> dict[str, Any]:
    """The record of a checkpoint. Raises WeightsError."""
    try:
        with safe_open(path, "pt") as file:
            return dict(json.loads((file.metadata() or {})["record"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: not a checkpoint of stylecli ({error})") from None


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What :func:`save_checkpoint` wrote. Raises WeightsError."""
    record = load_record(path)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in load_file(path).items():
        part, key = name.split(".", 1)
        parts.setdefault(part, {})[key] = value
    return parts, record


def save_release(
    path: Path,
    weights: dict[str, Tensor],
    config: str,
    training: dict[str, Any],
    eight_bits: Sequence[str] = (),
) -> None:
    """Safetensors for the package: parameters as :func:`pack` stores them, configuration and training record."""
    packed = pack(weights, eight_bits)
    said = described(save(packed), kind_of(config))
    write_tensors(path, packed, {"config": config, "training": json.dumps(training), **said})


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """A safetensors file, whole or not at all. Raises WriteError, one line."""
    with atomic_path(path) as part:
        part.write_bytes(save(tensors, metadata))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state as flat tensors ``<parameter>.<field>``."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, entry in state.items() for k, v in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of :func:`optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, field = name.split(".", 1)
        state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
