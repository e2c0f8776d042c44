"""Which path every operator takes on this machine, and why: what ``stylize kernels status`` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from stylecli.ops import build, cache, cuda, proof
from stylecli.ops.catalog import OPERATORS, Operator
from stylecli.ops.kernel_mode import kernel_mode


def status(devices: Sequence[torch.device]) -> dict[str, Any]:
    """The state of the kernels on some devices, as plain values for JSON. Builds and proves what a first use would.

    Keys: ``cache`` and ``files`` (the folder and what we keep there), ``cpu`` (``library``, ``about``, ``reason``,
    ``log``, ``threads``), ``devices`` (for each ``device``, ``name``, ``proven``, ``beside`` (whether CUDA
    graphs are used) and ``paintings`` by network and number format: ``decibels`` from float32 on the CPU and
    ``seconds``), and ``operators``: ``op``, ``device``,
    ``path`` ("compiled" or "torch"), ``why``, ``proven`` (when, in UTC, or None), ``errors`` (relative RMS by number
    format), ``problem``. ``cpu.library`` is None too where it exists for this process alone.
    """
    proofs = {str(device): _proof(device) for device in devices}
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
        "devices": [_device(device, proofs[str(device)]) for device in devices],
        "operators": [_row(op, device, proofs[str(device)]) for op in OPERATORS for device in devices],
    }


def _proof(device: torch.device) -> proof.Proof:
    return proof.of(device) if kernel_mode() == "auto" else proof.Proof()


def _device(device: torch.device, seen: proof.Proof) -> dict[str, Any]:
    paintings = {
        network: {
            dtype: {
                "decibels": None if dtype == "reference" else round(check.decibels, 1),
                "seconds": check.seconds,
            }
            for dtype, check in checks.items()
        }
        for network, checks in seen.paintings.items()
    }
    return {
        "device": str(device),
        "name": proof.name_of(device),
        "proven": seen.when or None,
        "paintings": paintings,
        "beside": {what: _verdict(what, seen) for what in proof.BESIDE.get(device.type, ())},
        "log": seen.log or None,
    }


def _verdict(what: str, seen: proof.Proof) -> str:
    """Whether something is used, and if not why, in a word or a line."""
    if not seen.when:
        return "not proven"
    return "used" if seen.agrees(what) else seen.operators.get(what, proof.Verdict()).problem or "not proven"


def _row(op: Operator, device: torch.device, seen: proof.Proof) -> dict[str, Any]:
    inputs = op.example(3, torch.Generator().manual_seed(0))
    compiled = op.is_compiled(*(x.to(device, torch.float32) for x in inputs))
    verdict = seen.operators.get(op.name, proof.Verdict())
    if device.type not in op.usable:
        why = f"no kernel for {device.type}"
    else:
        why = verdict.problem or _WHY[device.type](op.name)
    return {
        "op": op.name,
        "device": str(device),
        "path": "compiled" if compiled else "torch",
        "why": why,
        "proven": seen.when if compiled and seen.when else None,
        "errors": dict(verdict.errors),
        "problem": verdict.problem or None,
    }


_WHY: dict[str, Callable[[str], str]] = {
    "cpu": lambda op: build.outcome().about or build.outcome().reason,
    "cuda": lambda op: cuda.latest(op).about or cuda.latest(op).reason,
}
