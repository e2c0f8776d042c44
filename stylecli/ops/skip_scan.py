"""S-Scanning (StyleRWKV, arXiv 2412.19535): the order in which the tokens of an image become a sequence.

An atrous scan with stride p visits the p * p sub-grids of the image one after the other, each row by row (or
column by column), so that tokens p apart are neighbours in the sequence. p = 1 is the ordinary raster scan.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from stylecli.ops.held import held
from stylecli.ops.register import operator

_CPU = torch.device("cpu")


@lru_cache(maxsize=64)
def skip_scan_order(
    height: int, width: int, stride: int, columns: bool = False, device: torch.device = _CPU
) -> tuple[Tensor, Tensor]:
    """Visiting order of an image's tokens and its inverse.

    Args:
        height, width: size of the token grid, any.
        stride: p >= 1.
        columns: visit each sub-grid column by column instead of row by row.

    Returns:
        ``order`` (H W,): position t of the sequence holds token ``order[t]`` of the raster; and its inverse,
        both int64 on ``device``.
    """
    with torch.inference_mode(False):  # what is kept must serve a later training step too
        raster = torch.arange(height * width).view(height, width)
        parts = [raster[a::stride, b::stride] for a in range(stride) for b in range(stride)]
        order = torch.cat([(p.T if columns else p).reshape(-1) for p in parts])
        return order.to(device), torch.argsort(order).to(device)


@operator("stylecli::reorder")
def _reorder(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    return x.index_select(1, order)


@_reorder.register_fake
def _(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    order, inverse = ctx.saved_tensors
    return _reorder(grad, inverse, order), None, None


# A permutation's gradient is the inverse permutation: a gather, where autograd's own would be a scatter-add.
_reorder.register_autograd(_backward, setup_context=_setup_context)


def reorder(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """Tokens x (B, T, C) in another order: ``out[:, t] = x[:, order[t]]``; ``inverse`` is needed for gradients."""
    return _reorder(x, held(order.to(x.device)), inverse.to(x.device))
