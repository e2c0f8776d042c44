"""Which path every operator takes on this machine, and why: what ``stylize kernels status`` shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from stylecli.ops import build, cache, cuda
from stylecli.ops.catalog import OPERATORS, Operator, devices


def status() -> dict[str, Any]:
    """The state of the kernels, as plain values for JSON. Builds what a first use would build.

    Keys: ``cache`` and ``files`` (the folder and what we keep there), ``cpu`` (``library``, ``about``, ``reason``,
    ``log``, ``threads``), ``cuda`` (the card's name, or None), and ``operators``: ``op``, ``device``, ``path``
    ("compiled" or "torch"), ``why``. ``cpu.library`` is None too where it exists for this process alone.
    """
    cpu = build.outcome()
    return {
        "cache": str(cache.folder()),
        "files": len(cache.contents()),
        "cpu": {
            "library": str(cpu.path) if cpu.path else None,
            "about": cpu.about or None,
            "reason": cpu.reason or None,
            "log": str(cpu.log) if cpu.log else None,
            "threads": torch.get_num_threads(),
        },
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "operators": [_row(op, device) for op in OPERATORS for device in devices()],
    }


def _row(op: Operator, device: str) -> dict[str, str]:
    inputs = op.example(3, torch.Generator().manual_seed(0))
    compiled = op.is_compiled(*(x.to(device, torch.float32) for x in inputs))
    why = _WHY[device](op.name) if device in op.usable else f"no kernel for {device}"
    return {"op": op.name, "device": device, "path": "compiled" if compiled else "torch", "why": why}


_WHY: dict[str, Callable[[str], str]] = {
    "cpu": lambda op: build.outcome().about or build.outcome().reason,
    "cuda": lambda op: cuda.latest(op).about or cuda.latest(op).reason,
}
