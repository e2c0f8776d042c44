"""``deform_shift`` as a torch operator: compiled where it can be, else torch's ``grid_sample``."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops.deform_shift import compiled, cuda
from stylecli.ops.register import operator

_BILINEAR, _BORDER, _ALIGN_CORNERS = 0, 1, True


def _grid(offset: Tensor, *, for_slopes: bool = False) -> Tensor:
    """(B, H, W, G, 2) displacements in tokens -> (B G, H, W, 2) positions (x, y) in -1..1, as grid_sample wants.

    ``for_slopes``: never just below a whole token, see :func:`_above_whole`.
    """
    B, H, W, G, _ = offset.shape
    rows = torch.arange(H, device=offset.device, dtype=offset.dtype)[:, None, None]
    cols = torch.arange(W, device=offset.device, dtype=offset.dtype)[None, :, None]
    y, x = rows + offset[..., 0], cols + offset[..., 1]
    if for_slopes:
        y, x = _above_whole(y, H), _above_whole(x, W)
    y, x = (p * (2 / max(size - 1, 1)) - 1 for p, size in ((y, H), (x, W)))
    return torch.stack([x, y], -1).permute(0, 3, 1, 2, 4).reshape(B * G, H, W, 2)


def _above_whole(position: Tensor, size: int) -> Tensor:
    """Positions on a whole token moved up by as much as rounding may take away on the way through -1..1.

    There the slope jumps: the formula and the compiled kernels take the upper side, grid_sample takes either. A new
    network displaces nothing, so all of its positions are whole.
    """
    whole = (position == position.floor()) & (position > 0)
    return torch.where(whole, position + size * torch.finfo(position.dtype).eps, position)


def _split(x: Tensor, groups: int) -> Tensor:
    """(B, H, W, C) -> (B G, C / G, H, W)."""
    B, H, W, C = x.shape
    return x.view(B, H, W, groups, C // groups).permute(0, 3, 4, 1, 2).reshape(B * groups, C // groups, H, W)


def _join(y: Tensor, batch: int) -> Tensor:
    """(B G, C / G, H, W) -> (B, H, W, C)."""
    H, W = y.shape[2:]
    return y.view(batch, -1, H, W).permute(0, 2, 3, 1).contiguous()


def _working(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


@operator("stylecli::deform_shift")
def _deform_shift(x: Tensor, offset: Tensor) -> Tensor:
    if compiled.usable(x, offset):
        return compiled.deform_shift(x, offset).to(x.dtype)
    if cuda.usable(x, offset):
        return cuda.deform_shift(x, offset).to(x.dtype)
    return sampled(x, offset)


def sampled(x: Tensor, offset: Tensor) -> Tensor:
    """The torch path of ``deform_shift``."""
    image, grid = _split(_working(x), offset.shape[3]), _grid(_working(offset).to(_working(x).dtype))
    y = torch.grid_sampler_2d(image, grid, _BILINEAR, _BORDER, _ALIGN_CORNERS)
    return _join(y, x.shape[0]).to(x.dtype)


@_deform_shift.register_fake
def _(x: Tensor, offset: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@operator("stylecli::deform_shift_backward")
def _deform_shift_backward(grad: Tensor, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    if compiled.usable(grad, x, offset):
        grad_x, grad_offset = compiled.deform_shift_backward(grad, x, offset)
        return grad_x.to(x.dtype), grad_offset.to(offset.dtype)
    if cuda.usable(x, offset, backward=True):
        grad_x, grad_offset = cuda.deform_shift_backward(grad, x, offset)
        return grad_x.to(x.dtype), grad_offset.to(offset.dtype)
    return sampled_backward(grad, x, offset)


def sampled_backward(grad: Tensor, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """The torch path of ``deform_shift``'s gradients."""
    B, H, W, G, _ = offset.shape
    image, grid = _split(_working(x), G), _grid(_working(offset).to(_working(x).dtype), for_slopes=True)
    grad_image, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
        _split(_working(grad.contiguous()), G), image, grid, _BILINEAR, _BORDER, _ALIGN_CORNERS, [True, True]
    )
    grad_grid = grad_grid.view(B, G, H, W, 2).permute(0, 2, 3, 1, 4)
    # (Numbers of Python's own: a tensor of them would have to be sent to a card, which would be waited for.)
    grad_offset = torch.stack(
        [grad_grid[..., 1] * (2 / max(H - 1, 1)), grad_grid[..., 0] * (2 / max(W - 1, 1))], -1
    )
    return _join(grad_image, B).to(x.dtype), grad_offset.to(offset.dtype).contiguous()


@_deform_shift_backward.register_fake
def _(grad: Tensor, x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), offset.new_empty(offset.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    return _deform_shift_backward(grad, *ctx.saved_tensors)


_deform_shift.register_autograd(_backward, setup_context=_setup_context)


def deform_shift(x: Tensor, offset: Tensor) -> Tensor:
    """Bilinear reading of x at displaced positions; formula: :func:`stylecli.ops.deform_shift.deform_shift_reference`.

    Args:
        x: (B, H, W, C), contiguous in this order.
        offset: (B, H, W, G, 2) displacement (dy, dx) in tokens, G dividing C.

    Returns:
        (B, H, W, C) in x's dtype; positions and weights are computed in float32 (float64 for float64 input).
    """
    return _deform_shift(x.contiguous(), offset.contiguous())
