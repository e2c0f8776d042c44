"""Calls of the compiled selective scan (``kernels/selective_scan``): float32 and bfloat16 on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import native
from stylecli.ops.selective_scan.chunked import Gradients


def usable(*tensors: Tensor | None) -> bool:
    """Whether the compiled path takes these inputs, see :func:`stylecli.ops.native.usable`."""
    return native.usable("selective_scan", *tensors)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
    h0: Tensor | None = None,
    ht: Tensor | None = None,
) -> Tensor:
    """(B, L, D): bfloat16 if u, delta and z are, else float32. ``ht`` (B, D, N) float32, contiguous, is filled."""
    dtype = native.storage(u, delta, z)
    sizes = (*u.shape, A.shape[1], int(softplus))
    u, delta = native.stored(dtype, u, delta)
    A, B, C, D = native.stored(torch.float32, A, B, C, D)
    (z,) = native.stored(dtype, z)
    delta_bias, h0 = native.stored(torch.float32, delta_bias, h0)
    y = torch.empty_like(u)
    inputs = (u, delta, A, B, C, D, z, delta_bias)
    native.call("selective_scan_forward", dtype, *sizes, *inputs, y, h0, ht)
    return y


def selective_scan_backward(
    grad: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
) -> Gradients:
    """Gradients of u, delta and z are bfloat16 if these and grad are, else float32; the others are float32."""
    dtype = native.storage(grad, u, delta, z)
    sizes = (*u.shape, A.shape[1], int(softplus))
    grad, u, delta = native.stored(dtype, grad, u, delta)
    A, B, C, D = native.stored(torch.float32, A, B, C, D)
    (z,), (delta_bias,) = native.stored(dtype, z), native.stored(torch.float32, delta_bias)
    inputs = (u, delta, A, B, C, D, z, delta_bias)
    grads = Gradients(*(None if x is None else torch.empty_like(x) for x in inputs))  # type: ignore[arg-type]
    native.call("selective_scan_backward", dtype, *sizes, grad, *inputs, *grads)
    return grads
