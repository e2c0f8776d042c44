"""Calls of the compiled deform-shift (``kernels/deform_shift``): float32 and bfloat16 on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import native


def usable(*tensors: Tensor | None) -> bool:
    """Whether the compiled path takes these inputs, see :func:`stylecli.ops.native.usable`."""
    return native.usable("deform_shift", *tensors)


def deform_shift(x: Tensor, offset: Tensor) -> Tensor:
    """(B, H, W, C); bfloat16 if both inputs are, else float32."""
    dtype = native.storage(x, offset)
    x, offset = native.stored(dtype, x, offset)
    y = torch.empty_like(x)
    native.call("deform_shift_forward", dtype, *x.shape, offset.shape[3], x, offset, y)
    return y


def deform_shift_backward(grad: Tensor, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x (B, H, W, C) and offset (B, H, W, G, 2); bfloat16 if all inputs are, else float32."""
    dtype = native.storage(grad, x, offset)
    grad, x, offset = native.stored(dtype, grad, x, offset)
    grad_x, grad_offset = torch.empty_like(x), torch.empty_like(offset)
    sizes = (*x.shape, offset.shape[3])
    native.call("deform_shift_backward", dtype, *sizes, grad, x, offset, grad_x, grad_offset)
    return grad_x, grad_offset
