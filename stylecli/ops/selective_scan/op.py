"""``selective_scan`` as a torch operator: autograd and ``torch.compile`` see one node, whatever computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stylecli.ops.register import operator
from stylecli.ops.selective_scan import chunked, compiled, cuda


def _working(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """float64 if any is, else float32: a state is the sum of many small steps."""
    wide = any(t is not None and t.dtype == torch.float64 for t in tensors)
    dtype = torch.float64 if wide else torch.float32
    return tuple(None if t is None else t.to(dtype) for t in tensors)


@operator("stylecli::selective_scan")
def _selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    delta_bias: Tensor | None,
    softplus: bool,
) -> Tensor:
    return _scanned((u, delta, A, B, C, D, z, delta_bias), softplus, None, None)


def _scanned(inputs: tuple[Any, ...], softplus: bool, h0: Tensor | None, ht: Tensor | None) -> Tensor:
    """y in the inputs' first dtype; ``ht``, float32 and contiguous, is filled."""
    scan: Callable[..., Tensor] = chunked.selective_scan_chunked
    given = (*inputs, h0)
    if compiled.usable(*given):
        scan = compiled.selective_scan
    elif cuda.usable(*inputs):
        scan = cuda.selective_scan
    else:
        given = _working(*given)
    y = scan(*given[:-1], softplus, given[-1], ht)
    return y.to(inputs[0].dtype).contiguous()


@_selective_scan.register_fake
def _(u, delta, A, B, C, D, z, delta_bias, softplus) -> Tensor:  # type: ignore[no-untyped-def]
    return u.new_empty(u.shape)


@operator("stylecli::selective_scan_backward")
def _selective_scan_backward(
    grad: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    delta_bias: Tensor | None,
    softplus: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients in the order of the inputs; an operator cannot return None, so absent ones are empty."""
    inputs = (u, delta, A, B, C, D, z, delta_bias)
    grads: tuple[Tensor | None, ...]
    if compiled.usable(grad, *inputs):
        grads = compiled.selective_scan_backward(grad, *inputs, softplus)
    elif cuda.usable(*inputs):
        grads = cuda.selective_scan_backward(grad, *inputs, softplus)
    else:
        grads = chunked.selective_scan_chunked_backward(*_working(grad, *inputs), softplus)  # type: ignore[arg-type, call-arg]
    return tuple(  # type: ignore[return-value]
        u.new_empty(0) if g is None or x is None else g.to(x.dtype).contiguous()
        for g, x in zip(grads, inputs, strict=True)
    )


@_selective_scan_backward.register_fake
def _(grad, u, delta, A, B, C, D, z, delta_bias, softplus):  # type: ignore[no-untyped-def]
    inputs = (u, delta, A, B, C, D, z, delta_bias)
    return tuple(u.new_empty(0) if x is None else x.new_empty(x.shape) for x in inputs)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[:8])
    ctx.softplus = inputs[8]


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    saved = ctx.saved_tensors
    grads = _selective_scan_backward(grad, *saved, ctx.softplus)
    return *(None if x is None else g for g, x in zip(grads, saved, strict=True)), None


_selective_scan.register_autograd(_backward, setup_context=_setup_context)


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
) -> Tensor:
    """Selective scan of Mamba (S6, arXiv 2312.00752), linear in L.

    Formula: :func:`stylecli.ops.selective_scan.selective_scan_reference`.

    Args:
        u: (batch, L, D) input, L >= 1; delta: (batch, L, D) step sizes.
        A: (D, N) decay rates, negative in practice; B, C: (batch, L, N); D: (D,) weight of the input itself.
        z: (batch, L, D) gate, passed through SiLU; delta_bias: (D,); softplus: of the step sizes.

    Returns:
        (batch, L, D) in u's dtype. Computed in float32, or in float64 where an input is float64.
    """
    return _selective_scan(u, delta, A, B, C, D, z, delta_bias, softplus)


def selective_scan_from(
    h0: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """:func:`selective_scan` of tokens that go on from states ``h0``, with the states that they end in. No gradients.

    Args:
        h0: (batch, D, N), or None for zeros.

    Returns:
        y (batch, L, D) in u's dtype, and the last states ``ht`` (batch, D, N) in float32.
    """
    with torch.no_grad():
        ht = u.new_empty((u.shape[0], *A.shape), dtype=torch.float32)
        return _scanned((u, delta, A, B, C, D, z, delta_bias), softplus, h0, ht), ht
