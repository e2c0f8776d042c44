"""Selective scan, written as its formula: token after token, in float64. The yardstick of the fast paths."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def selective_scan_reference(
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
    """The selective state space of Mamba (S6, arXiv 2312.00752) as a loop over tokens, in float64.

    ::

        d_t = softplus(delta_t + delta_bias)                        # either may be left out
        h_t = exp(d_t A) h_{t-1} + d_t u_t B_t,   h_{-1} = 0        # N states for each channel
        y_t = (C_t . h_t + D u_t) * silu(z_t)                       # the gate may be left out

    Args:
        u: (batch, L, D) input.
        delta: (batch, L, D) step sizes.
        A: (D, N) decay rates, negative in practice.
        B, C: (batch, L, N) input and output matrices of each token.
        D: (D,) weight of the input itself.
        z: (batch, L, D) gate.
        delta_bias: (D,).
        softplus: whether step sizes pass through softplus.

    Returns:
        (batch, L, D) in float64.
    """
    u, delta, A, B, C, D = (x.double() for x in (u, delta, A, B, C, D))
    if delta_bias is not None:
        delta = delta + delta_bias.double()
    if softplus:
        delta = F.softplus(delta)
    h = u.new_zeros(u.shape[0], *A.shape)  # (batch, D, N)
    outputs = []
    for t in range(u.shape[1]):
        h = torch.exp(delta[:, t, :, None] * A) * h + (delta[:, t] * u[:, t])[..., None] * B[:, t, None]
        outputs.append((h * C[:, t, None]).sum(-1) + D * u[:, t])
    y = torch.stack(outputs, 1)  # (batch, L, D)
    return y if z is None else y * F.silu(z.double())
