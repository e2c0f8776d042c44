"""Calls of the compiled bi-WKV (``kernels/bi_wkv``): float32 and bfloat16 on the CPU, computed in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import native


def usable(*tensors: Tensor | None) -> bool:
    """Whether the compiled path takes these inputs, see :func:`stylecli.ops.native.usable`."""
    return native.usable("bi_wkv", *tensors)


def bi_wkv(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, keep: bool = True, order: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """(y, denominator), both (B, T, C): y bfloat16 if k and v are, else float32; float32, None unless ``keep``.

    ``order`` (T,) int64: which token is the t-th of the sequence, in all of them; None where that is the t-th."""
    dtype = native.storage(k, v)
    w, u = native.stored(torch.float32, w, u)
    k, v = native.stored(dtype, k, v)
    y = torch.empty_like(v)
    denominator = torch.empty_like(v, dtype=torch.float32) if keep else None
    native.call("bi_wkv_forward", dtype, *k.shape, w, u, k, v, y, denominator, order, k.shape[1], *4 * [None])
    return y, denominator


def bi_wkv_segment(
    w: Tensor,
    u: Tensor,
    k: Tensor,
    v: Tensor,
    length: int,
    left: Tensor | None,
    right: Tensor | None,
    results: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """See :func:`stylecli.ops.bi_wkv.segment.bi_wkv_segment`."""
    dtype = native.storage(k, v)
    w, u = native.stored(torch.float32, w, u)
    k, v = native.stored(dtype, k, v)
    left, right = native.stored(torch.float32, left, right)
    B, T, C = k.shape
    y = torch.empty_like(v) if results else None
    to_right, to_left = (w.new_empty(B, 3, C) for _ in range(2))
    ends = (length, left, right, to_right, to_left)
    native.call("bi_wkv_forward", dtype, B, T, C, w, u, k, v, y, None, None, *ends)
    return y, to_right, to_left


def bi_wkv_backward(
    grad: Tensor, w: Tensor, u: Tensor, k: Tensor, v: Tensor, y: Tensor, denominator: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of w, u (C,) float32, and of k, v (B, T, C), bfloat16 if all large inputs are, else float32."""
    dtype = native.storage(grad, k, v, y)
    w, u, denominator = native.stored(torch.float32, w, u, denominator)
    grad, k, v, y = native.stored(dtype, grad, k, v, y)
    grad_w, grad_u, grad_k, grad_v = (torch.empty_like(x) for x in (w, u, k, v))
    inputs = (w, u, k, v, grad, y, denominator)
    native.call("bi_wkv_backward", dtype, *k.shape, *inputs, grad_w, grad_u, grad_k, grad_v)
    return grad_w, grad_u, grad_k, grad_v
