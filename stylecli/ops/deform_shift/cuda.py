"""Calls of the CUDA deform-shift (``kernels/deform_shift/deform_shift.cu``) in float32, float16 and bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import cuda

_THREADS = 256
_BYTES = {"wide": 16, "half": 8}  # that a thread of the forward pass reads at once


def usable(x: Tensor, offset: Tensor, *, backward: bool = False) -> bool:
    """Whether the CUDA path takes these inputs: of one card, of any float type but float64.

    The gradient of x is summed in an order that depends on timing, so that ``backward`` says no where
    ``torch.use_deterministic_algorithms`` is on.
    """
    if not cuda.takes(x, offset):
        return False
    if backward and torch.are_deterministic_algorithms_enabled():
        return False
    B, H, W, C = x.shape
    return max(B, H) <= 65_535 and W * C <= cuda.MAX_BLOCKS and _kernels(x, offset) is not None


def _kernels(*tensors: Tensor) -> cuda.Kernels | None:
    return cuda.load("deform_shift", tensors[0].device, f"ONLY_{cuda.STORAGE[cuda.storage(*tensors)]}")


def _stored(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Contiguous and of one type: float32 where they differ, as under autocast."""
    storage = cuda.storage(*tensors)
    return tuple(t.to(storage).contiguous() for t in tensors)


def _launch(name: str, threads: int, x: Tensor, groups: int, *tensors: Tensor) -> None:
    """``threads``: threads for each token."""
    B, H, W, C = x.shape
    kernels = _kernels(x)
    assert kernels is not None
    grid = (-(-W * threads // _THREADS), H, B)
    name = f"deform_shift_{name}_{cuda.STORAGE[x.dtype]}"
    kernels.launch(name, grid, _THREADS, H, W, C, groups, *tensors)


def deform_shift(x: Tensor, offset: Tensor) -> Tensor:
    """(B, H, W, C) in the type of both, float32 where they differ."""
    x, offset = _stored(x, offset)
    C, G = x.shape[3], offset.shape[3]
    y = torch.empty_like(x)
    way = next((way for way, size in _BYTES.items() if cuda.wide(C // G, x, y, size=size)), "narrow")
    threads = C * x.element_size() // _BYTES.get(way, x.element_size())
    _launch(f"forward_{way}", threads, x, G, x, offset, y)
    return y


def deform_shift_backward(grad: Tensor, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x, in float32, and of offset, in the type of both. The last bits of the first depend on timing."""
    x, offset = _stored(x, offset)
    grad = grad.to(x.dtype).contiguous()
    C, G = x.shape[3], offset.shape[3]
    grad_x, grad_offset = torch.zeros_like(x, dtype=torch.float32), torch.empty_like(offset)
    _launch("backward_x", C, x, G, grad, offset, grad_x)
    way = "wide" if cuda.wide(C // G, grad, x) else "narrow"
    _launch(f"backward_offset_{way}", G, x, G, grad, x, offset, grad_offset)
    return grad_x, grad_offset
