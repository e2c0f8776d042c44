"""Selective scan in plain torch: no compiler, and memory for the states of ``CHUNK`` tokens only.

A chunk's recurrence h_t = a_t h_{t-1} + x_t is cut into ``CHUNK / STRIP`` strips of ``STRIP`` tokens that are scanned
side by side; then the states that enter the strips follow from one another, and are added with the decay since
the strip's begin. Only products of decays are formed, never their quotients: strong decays cannot overflow.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK, STRIP = 256, 16


def scan(a: Tensor, x: Tensor, start: Tensor) -> Tensor:
    """h_t = a_t h_{t-1} + x_t for all t, with h_{-1} = start.

    Args:
        a, x: (B, T, D, N), start: (B, D, N).

    Returns:
        (B, T, D, N).
    """
    T = a.shape[1]
    strips = -(-T // STRIP)
    pad = (0, 0, 0, 0, 0, strips * STRIP - T)
    h, p = (F.pad(y, pad).unflatten(1, (strips, STRIP)).clone() for y in (x, a))  # (B, n, S, D, N)
    for i in range(1, STRIP):
        h[:, :, i].addcmul_(p[:, :, i], h[:, :, i - 1])
        p[:, :, i] *= p[:, :, i - 1]  # decay since the strip's begin
    entering = [start]
    for j in range(strips - 1):
        entering.append(p[:, j, -1] * entering[-1] + h[:, j, -1])
    h.addcmul_(p, torch.stack(entering, 1)[:, :, None])
    return h.flatten(1, 2)[:, :T]


class Gradients(NamedTuple):
    """In the order of the operator's tensors; those of tensors that were left out are None."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor | None
    delta_bias: Tensor | None


def _steps(delta: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    delta = delta if bias is None else delta + bias
    return F.softplus(delta) if softplus else delta


def _states(d: Tensor, u: Tensor, A: Tensor, B: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Decays and states of one chunk: d, u (B, T, D), B (B, T, N), start (B, D, N) -> two (B, T, D, N)."""
    a = torch.exp(d[..., None] * A)
    return a, scan(a, (d * u)[..., None] * B[:, :, None], start)


def selective_scan_chunked(
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
    """Forward pass, (B, L, D); all tensors of one float type. Shapes: see ``selective_scan_reference``.

    Begins in states ``h0`` (B, D, N), zero if None; ``ht`` is filled with the last ones."""
    y = torch.empty_like(u)
    state = u.new_zeros(u.shape[0], *A.shape) if h0 is None else h0
    for begin in range(0, u.shape[1], CHUNK):
        part = slice(begin, begin + CHUNK)
        d = _steps(delta[:, part], delta_bias, softplus)
        _, h = _states(d, u[:, part], A, B[:, part], state)
        y[:, part] = torch.einsum("btdn,btn->btd", h, C[:, part]) + D * u[:, part]
        state = h[:, -1]
    if ht is not None:
        ht.copy_(state)
    return y if z is None else y * F.silu(z)


def selective_scan_chunked_backward(
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
    """Gradients of all inputs: states at chunk borders first, then the chunks from the last to the first."""
    starts = [u.new_zeros(u.shape[0], *A.shape)]
    chunks = [slice(begin, begin + CHUNK) for begin in range(0, u.shape[1], CHUNK)]
    for part in chunks[:-1]:
        d = _steps(delta[:, part], delta_bias, softplus)
        starts.append(_states(d, u[:, part], A, B[:, part], starts[-1])[1][:, -1].clone())

    g_u, g_delta, g_B, g_C = (torch.empty_like(x) for x in (u, delta, B, C))
    g_z = None if z is None else torch.empty_like(z)
    g_A, g_D = torch.zeros_like(A), torch.zeros_like(D)
    later = torch.zeros_like(starts[0])  # gradient of the state that leaves the chunk
    for part, start in zip(reversed(chunks), reversed(starts), strict=True):
        d, g, x = _steps(delta[:, part], delta_bias, softplus), grad[:, part], u[:, part]
        a, h = _states(d, x, A, B[:, part], start)
        if z is not None and g_z is not None:
            y = torch.einsum("btdn,btn->btd", h, C[:, part]) + D * x
            gate = torch.sigmoid(z[:, part])
            g_z[:, part] = g * y * gate * (1 + z[:, part] * (1 - gate))
            g = g * z[:, part] * gate
        g_h = _reversed_scan(a, g[..., None] * C[:, part][:, :, None], later)
        later = a[:, 0] * g_h[:, 0]
        g_B[:, part] = torch.einsum("btdn,btd->btn", g_h, d * x)
        g_C[:, part] = torch.einsum("btdn,btd->btn", h, g)
        along_B = torch.einsum("btdn,btn->btd", g_h, B[:, part])
        along_A = g_h * a * torch.cat([start[:, None], h[:, :-1]], 1)  # gradient of d_t A, (B, T, D, N)
        g_u[:, part] = d * along_B + D * g
        g_delta[:, part] = x * along_B + torch.einsum("btdn,dn->btd", along_A, A)
        g_A += torch.einsum("btdn,btd->dn", along_A, d)
        g_D += (g * x).sum((0, 1))
    if softplus:
        g_delta *= torch.sigmoid(delta if delta_bias is None else delta + delta_bias)
    g_bias = None if delta_bias is None else g_delta.sum((0, 1))
    return Gradients(g_u, g_delta, g_A, g_B, g_C, g_D, g_z, g_bias)


def _reversed_scan(a: Tensor, x: Tensor, later: Tensor) -> Tensor:
    """g_t = x_t + a_{t+1} g_{t+1}; ``later`` is that last term where t is the last token. All (B, T, D, N)."""
    after = torch.cat([a[:, 1:], torch.ones_like(a[:, :1])], 1)
    return scan(after.flip(1), x.flip(1), later).flip(1)
