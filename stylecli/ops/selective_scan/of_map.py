"""Selective scan of a map in four directions, each quarter of the channels in its own.

In one compiled kernel where nobody wants gradients on the CPU; else one direction after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import native
from stylecli.ops.selective_scan.op import selective_scan
from stylecli.ops.selective_scan.reference import selective_scan_reference

DIRECTIONS = 4  # rows and columns, each from both ends


class Recurrence(NamedTuple):
    """Parameters of one direction: step sizes (rank, D) and (D,), decay rates (D, N), weights of the input (D,)."""

    step: Tensor
    step_bias: Tensor
    decay: Tensor
    D: Tensor

    def split(self, dt_B_C: Tensor) -> list[Tensor]:
        """(B, L, rank + 2 N) to step sizes (B, L, D), before bias and softplus, and B and C (B, L, N)."""
        step, b, c = dt_B_C.split([len(self.step), *2 * [self.decay.shape[1]]], dim=-1)
        return [step @ self.step, b.contiguous(), c.contiguous()]


def scan_along(
    u: Tensor, dt_B_C: Tensor, by: Recurrence, direction: int, scan: Callable[..., Tensor] = selective_scan
) -> Tensor:
    """Inputs (B, H, W, D) and dt_B_C (B, H, W, rank + 2 N) scanned along one direction: (B, H, W, D)."""
    H, W = u.shape[1:3]
    columns, backwards = direction >= 2, direction % 2 == 1
    u, dt_B_C = (line_up(t, columns, backwards) for t in (u, dt_B_C))  # (B, L, .)
    delta, b, c = by.split(dt_B_C)
    y = scan(u, delta, by.decay, b, c, by.D, delta_bias=by.step_bias, softplus=True)
    if backwards:
        y = y.flip(1)
    return y.unflatten(1, (W, H)).transpose(1, 2) if columns else y.unflatten(1, (H, W))


def line_up(x: Tensor, columns: bool, backwards: bool) -> Tensor:
    """(B, H, W, C) to the sequence (B, H W, C) along rows or columns, from either end."""
    x = (x.transpose(1, 2) if columns else x).flatten(1, 2)
    return x.flip(1) if backwards else x.contiguous()


Along = Callable[[Tensor, Tensor, Recurrence, int], Tensor]


def gated_scan_of_map(
    u: Tensor,
    gate: Tensor,
    dt_B_C: Tensor,
    step: Tensor,
    step_bias: Tensor,
    decay: Tensor,
    D: Tensor,
    along: Along = scan_along,
) -> Tensor:
    """``silu(gate) * selective_scan(u, softplus(choice @ step + step_bias), decay, B, C, D)`` for each direction:
    rows from the first token and from the last, columns from the first and from the last.

    Args:
        u, gate: (B, H, W, 4 D). dt_B_C: (B, H, W, 4 (R + 2 N)), of each direction the choice, B and C.
        step: (4, R, D). step_bias, D: (4, D). decay: (4, D, N).
        along: ``scan_along``, or what stands in for it where a picture is painted in strips.

    Returns:
        (B, H, W, 4 D) in u's format.
    """
    everything = (u, gate, dt_B_C, step, step_bias, decay, D)
    if all(isinstance(t, Tensor) for t in everything) and native.paints("scan_of_map", *everything):
        return _compiled(*everything)
    return _in_turn(along, *everything)


def gated_scan_of_map_reference(*inputs: Tensor) -> Tensor:
    """The same in float64, token after token."""
    along = partial(scan_along, scan=selective_scan_reference)
    return _in_turn(along, *(t.double() for t in inputs))


def _in_turn(along: Along, u: Tensor, gate: Tensor, dt_B_C: Tensor, *parameters: Tensor) -> Tensor:
    """One direction after the other."""
    recurrences = [Recurrence(*own) for own in zip(*parameters, strict=True)]
    parts = zip(u.chunk(DIRECTIONS, dim=-1), dt_B_C.chunk(DIRECTIONS, dim=-1), recurrences, strict=True)
    return torch.cat([along(*part, d) for d, part in enumerate(parts)], -1) * F.silu(gate)


def _compiled(*everything: Tensor) -> Tensor:
    u, gate, dt_B_C, step, step_bias, decay, D = everything
    B, H, W, _ = u.shape
    _, rank, channels = step.shape
    u, gate = (t if _even(t) else t.contiguous() for t in (u, gate))
    out = u.new_empty(u.shape)
    small = [t.contiguous() for t in (dt_B_C, step, step_bias, decay, D)]
    sizes = (B, H, W, channels, decay.shape[2], rank, u.stride(2), gate.stride(2))
    native.call("scan_of_map", u.dtype, *sizes, u, gate, *small, out)
    return out


def _even(map: Tensor) -> bool:
    """Whether all pixels of (B, H, W, C) lie equally far apart, as they do in a part of a wider map's channels."""
    _, H, W, _ = map.shape
    between = map.stride(2)
    return map.stride() == (H * W * between, W * between, between, 1)
