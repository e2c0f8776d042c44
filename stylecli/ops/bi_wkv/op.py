"""``bi_wkv`` as a torch operator: autograd and ``torch.compile`` see one node, whatever computes it.

Which path computes it, compiled or torch, is chosen here, inside the two registered functions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import gradients, native
from stylecli.ops.bi_wkv import chunked, compiled, cuda
from stylecli.ops.held import held
from stylecli.ops.register import operator
from stylecli.ops.skip_scan import reorder


def _state_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 stays, everything else is computed in float32: states outgrow 8 bits of mantissa."""
    return torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32


def _working(*tensors: Tensor) -> tuple[Tensor, ...]:
    dtype = _state_dtype(*tensors)
    return tuple(t.to(dtype) for t in tensors)


@operator("stylecli::bi_wkv")
def _bi_wkv(w: Tensor, u: Tensor, k: Tensor, v: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    """(y, denominator); the denominator is needed for gradients alone, and empty unless ``keep``."""
    denominator: Tensor | None
    if compiled.usable(w, u, k, v):
        y, denominator = compiled.bi_wkv(w, u, k, v, keep)
    elif cuda.usable(w, u, k, v):
        y, denominator = cuda.bi_wkv(w, u, k, v, keep)
    else:
        y, denominator = chunked.bi_wkv_chunked(*_working(w, u, k, v))
    if denominator is None or not keep:
        denominator = y.new_empty(0, dtype=_state_dtype(w, u, k, v))
    return y.to(v.dtype).contiguous(), denominator.contiguous()


@_bi_wkv.register_fake
def _(w: Tensor, u: Tensor, k: Tensor, v: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    return v.new_empty(v.shape), v.new_empty(v.shape if keep else 0, dtype=_state_dtype(w, u, k, v))


@operator("stylecli::bi_wkv_backward")
def _bi_wkv_backward(
    grad: Tensor, w: Tensor, u: Tensor, k: Tensor, v: Tensor, y: Tensor, denominator: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs = (grad, w, u, k, v, y, denominator)
    if compiled.usable(*inputs):
        grads = compiled.bi_wkv_backward(*inputs)
    elif cuda.usable(w, u, k, v):
        grads = cuda.bi_wkv_backward(*inputs)
    else:
        grads = chunked.bi_wkv_chunked_backward(*_working(*inputs))
    return tuple(g.to(x.dtype).contiguous() for g, x in zip(grads, (w, u, k, v), strict=True))  # type: ignore[return-value]


@_bi_wkv_backward.register_fake
def _(
    grad: Tensor, w: Tensor, u: Tensor, k: Tensor, v: Tensor, y: Tensor, denominator: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return w.new_empty(w.shape), u.new_empty(u.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[:4], *output)


def _backward(ctx, grad, _grad_denominator):  # type: ignore[no-untyped-def]
    return *_bi_wkv_backward(grad, *ctx.saved_tensors), None


_bi_wkv.register_autograd(_backward, setup_context=_setup_context)


def bi_wkv(w: Tensor, u: Tensor, k: Tensor, v: Tensor, order: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Bidirectional WKV attention of Vision-RWKV (arXiv 2403.02308, eq. 3), linear in T.

    Formula and meaning of the arguments: :func:`stylecli.ops.bi_wkv.bi_wkv_reference`. No epsilon is needed in
    the denominator: it holds the largest key's own weight, at least ``exp(-max(|w|, |u|))``, so keep both under 80.

    Args:
        w: (C,) decay, u: (C,) bonus, k: (B, T, C) keys, v: (B, T, C) values; T >= 1.
        order: in which tokens follow one another, and its inverse, both (T,), as of
            :func:`stylecli.ops.skip_scan.skip_scan_order`; None where they lie in that order.

    Returns:
        (B, T, C) in v's dtype. Computed in float32, or in float64 where an input is float64.
    """
    learning = gradients.wanted(w, u, k, v)
    if order is not None:
        # Without moving them: that took longer than the sums.
        if native.paints("bi_wkv", w, u, k, v):
            return compiled.bi_wkv(w, u, k, v, False, order[0])[0]
        if not learning and cuda.usable(w, u, k, v):
            return cuda.bi_wkv(w, u, k, v, False, held(order[0].to(k.device)))[0].to(v.dtype)
        k, v = (reorder(x, *order) for x in (k, v))
        return reorder(bi_wkv(w, u, k, v), *reversed(order))
    return _bi_wkv(w, u, k, v, learning)[0]
