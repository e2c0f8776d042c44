"""Selective scan of a map in four directions, each quarter of the channels in its own, in one compiled kernel.

For painting on the CPU; where that is not at hand, or gradients are wanted, networks go one direction after the other.
"""

from __future__ import annotations

from torch import Tensor

from stylecli.ops import native


def usable(*tensors: Tensor) -> bool:
    """Whether the compiled path takes these; False where gradients are wanted."""
    return all(isinstance(t, Tensor) for t in tensors) and native.paints(*tensors)


def scan_of_map(
    u: Tensor,
    gate: Tensor,
    choices: Tensor,
    step: Tensor,
    step_bias: Tensor,
    decay: Tensor,
    direct: Tensor,
) -> Tensor:
    """``silu(gate) * selective_scan(u, softplus(choice @ step + step_bias), decay, B, C, direct)`` for each direction:
    rows from the first token and from the last, columns from the first and from the last.

    Args:
        u, gate: (B, H, W, 4 D). choices: (B, H, W, 4 (R + 2 N)), of each direction the choice, B and C.
        step: (4, R, D). step_bias, direct: (4, D). decay: (4, D, N).

    Returns:
        (B, H, W, 4 D) in float32.
    """
    B, H, W, _ = u.shape
    _, rank, D = step.shape
    u, gate = (t if _even(t) else t.contiguous() for t in (u, gate))
    out = u.new_empty(u.shape)
    small = [t.contiguous() for t in (choices, step, step_bias, decay, direct)]
    sizes = (B, H, W, D, decay.shape[2], rank, u.stride(2), gate.stride(2))
    native.call("scan_of_map", u.dtype, *sizes, u, gate, *small, out)
    return out


def _even(map: Tensor) -> bool:
    """Whether all pixels of (B, H, W, C) lie equally far apart, as they do in a part of a wider map's channels."""
    _, H, W, _ = map.shape
    between = map.stride(2)
    return map.stride() == (H * W * between, W * between, between, 1)
