"""Calls of the compiled bi-WKV (``kernels/bi_wkv``): float32 on the CPU. None where it is not available."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from stylecli.ops import build


def usable(*tensors: Tensor) -> bool:
    """Whether the compiled path takes these tensors: any CPU float type but float64."""
    fits = all(t.device.type == "cpu" and t.is_floating_point() and t.dtype != torch.float64 for t in tensors)
    return fits and build.load() is not None


def _call(name: str, shape: torch.Size, *tensors: Tensor) -> None:
    library = build.load()
    assert library is not None
    sizes = (ctypes.c_int64(n) for n in shape)
    pointers = (ctypes.c_void_p(t.data_ptr()) for t in tensors)
    getattr(library, name)(*sizes, *pointers, ctypes.c_int(torch.get_num_threads()))


def bi_wkv(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """(y, denominator), float32 (B, T, C)."""
    w, u, k, v = (t.float().contiguous() for t in (w, u, k, v))
    y, denominator = torch.empty_like(k), torch.empty_like(k)
    _call("stylecli_bi_wkv_forward", k.shape, w, u, k, v, y, denominator)
    return y, denominator


def bi_wkv_backward(
    grad: Tensor, w: Tensor, u: Tensor, k: Tensor, v: Tensor, y: Tensor, denominator: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of w, u (C,), k, v (B, T, C), float32."""
    grad, w, u, k, v, y, denominator = (t.float().contiguous() for t in (grad, w, u, k, v, y, denominator))
    grad_w, grad_u = (k.new_empty(k.shape[0], k.shape[2]) for _ in range(2))
    grad_k, grad_v = torch.empty_like(k), torch.empty_like(v)
    inputs = (w, u, k, v, grad, y, denominator)
    _call("stylecli_bi_wkv_backward", k.shape, *inputs, grad_w, grad_u, grad_k, grad_v)
    return grad_w.sum(0), grad_u.sum(0), grad_k, grad_v
