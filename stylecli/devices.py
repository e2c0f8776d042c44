"""Where to compute, and in which number format: what ``--device`` and ``--dtype`` mean on this machine."""

from __future__ import annotations

import logging

import torch

from stylecli.errors import UsageError

log = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """``auto`` takes the GPU if there is one. Raises UsageError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no CUDA device here; use --device cpu")
    return torch.device(name)


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    # Without these instructions bfloat16 is emulated on a CPU, many times slower than float32.
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def choose_dtype(name: str, device: torch.device, bf16_on_cpu: bool = True) -> torch.dtype:
    """``auto``: bfloat16 where the processor computes in it, float16 on older GPUs, float32 otherwise.

    Args:
        name: auto, fp32, bf16 or fp16.
        bf16_on_cpu: whether ``auto`` may be bfloat16 on a CPU, see :class:`stylecli.models.registry.Descriptor`.
    """
    fast_bf16 = _has_fast_bf16(device)
    if name == "auto":
        if device.type == "cpu":
            return torch.bfloat16 if fast_bf16 and bf16_on_cpu else torch.float32
        return torch.bfloat16 if fast_bf16 else torch.float16
    if name not in _DTYPES:
        raise UsageError(f"--dtype {name}: choose auto, fp32, bf16 or fp16")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("--dtype fp16 needs a GPU; use fp32 or bf16 on a CPU")
    if name == "bf16" and not fast_bf16:
        log.warning(
            "this processor has no bfloat16 arithmetic: --dtype bf16 will be slow, fp32 is faster here"
        )
    return _DTYPES[name]
