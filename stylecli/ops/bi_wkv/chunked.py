"""Bidirectional WKV in plain torch: linear in T, no compiler, no loop over tokens.

With K = max_t k per channel and e = exp(k - K), numerator and denominator are both the symmetric
Toeplitz operator

    (A x)_t = exp(u) x_t + sum_{i != t} lam^(|t - i| - 1) x_i,      lam = exp(-w / T)

applied to e * v and to e. A is applied in chunks of ``CHUNK`` tokens: inside a chunk by one small matrix
per channel, between chunks by a decayed running sum, which is itself computed in chunks (so a million
tokens need four levels and no buffer larger than the input).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


def decay_scan(x: Tensor, log_decay: Tensor) -> Tensor:
    """Exclusive decayed prefix sum y_t = sum_{i < t} exp(log_decay * (t - 1 - i)) x_i.

    Args:
        x: (C, N, T).
        log_decay: (C,) logarithm of the decay per step.

    Returns:
        (C, N, T).
    """
    C, N, T = x.shape
    L = min(CHUNK, T)
    n = -(-T // L)
    x = F.pad(x, (0, n * L - T)).reshape(C, N * n, L)
    i = torch.arange(L, device=x.device)
    lag = (i[None, :] - i[:, None] - 1).to(x.dtype)  # (L from, L to)
    inside = torch.exp(log_decay[:, None, None] * lag.clamp(min=0)) * (lag >= 0)  # (C, L, L)
    y = torch.bmm(x, inside)  # (C, N n, L)
    if n > 1:
        totals = x @ torch.exp(log_decay[:, None] * (L - 1 - i))[..., None]  # (C, N n, 1)
        carry = decay_scan(totals.view(C, N, n), log_decay * L).reshape(C, N * n, 1)
        y = y + carry * torch.exp(log_decay[:, None] * i)[:, None]
    return y.view(C, N, n * L)[..., :T]


def _to_chunks(x: Tensor, n: int, L: int) -> Tensor:
    """(M, B, T, C) -> (C, L, M B n), zero-padded at the end of T."""
    M, B, T, C = x.shape
    x = F.pad(x, (0, 0, 0, n * L - T)).view(M * B * n, L, C)
    return x.permute(2, 1, 0).contiguous()


def _from_chunks(y: Tensor, M: int, B: int, T: int) -> Tensor:
    """(C, L, M B n) -> (M, B, T, C)."""
    C = y.shape[0]
    return y.permute(2, 1, 0).reshape(M, B, -1, C)[:, :, :T]


def _distances(L: int, like: Tensor) -> Tensor:
    i = torch.arange(L, device=like.device)
    return (i[None, :] - i[:, None]).abs().to(like.dtype)  # (L, L)


def _chunk_matrix(log_decay: Tensor, u: Tensor, L: int) -> Tensor:
    """(C, L, L): A restricted to one chunk."""
    distance = _distances(L, log_decay)
    matrix = torch.exp(log_decay[:, None, None] * (distance - 1).clamp(min=0))
    return torch.where(distance == 0, u.exp()[:, None, None], matrix)


def _carries(x: Tensor, log_decay: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """State that enters each chunk of x (C, L, N n) from the left and from the right: two (C, 1, N n)."""
    C, L, _ = x.shape
    powers = torch.exp(log_decay[:, None] * torch.arange(L, device=x.device))  # (C, L)
    forward = (powers.flip(1)[:, None] @ x).view(C, -1, n)
    backward = (powers[:, None] @ x).view(C, -1, n).flip(2)
    both = decay_scan(torch.cat([forward, backward], 1), log_decay * L)  # (C, 2 N, n)
    left, right = both.chunk(2, dim=1)
    return left.reshape(C, 1, -1), right.flip(2).reshape(C, 1, -1)


def toeplitz(x: Tensor, log_decay: Tensor, u: Tensor) -> Tensor:
    """A x for x (M, B, T, C), log_decay (C,) = -w / T and bonus u (C,). Linear in T. A is symmetric."""
    M, B, T, _ = x.shape
    L = min(CHUNK, T)
    n = -(-T // L)
    chunks = _to_chunks(x, n, L)  # (C, L, M B n)
    y = torch.bmm(_chunk_matrix(log_decay, u, L), chunks)
    if n > 1:
        left, right = _carries(chunks, log_decay, n)
        powers = torch.exp(log_decay[:, None] * torch.arange(L, device=x.device))[..., None]  # (C, L, 1)
        y = torch.baddbmm(y, torch.cat([powers, powers.flip(1)], 2), torch.cat([left, right], 1))
    return _from_chunks(y, M, B, T)


def toeplitz_decay_gradient(x: Tensor, g: Tensor, log_decay: Tensor) -> Tensor:
    """d<g, A x> / d log_decay for x, g (M, B, T, C): (C,).

    Needs one more state per direction, P = sum_i (t - 1 - i) lam^(t - 1 - i) x_i, carried beside the sum itself.
    """
    T, C = x.shape[2:]
    L = min(CHUNK, T)
    n = -(-T // L)
    xs, gs = _to_chunks(x, n, L), _to_chunks(g, n, L)  # (C, L, N)
    steps = (_distances(L, x) - 1).clamp(min=0)
    inside = steps * torch.exp(log_decay[:, None, None] * steps)
    total = (torch.bmm(gs, xs.transpose(1, 2)) * inside).sum((1, 2))
    if n > 1:
        i = torch.arange(L, device=x.device, dtype=x.dtype)
        powers = torch.exp(log_decay[:, None] * i)  # (C, L): lam^l
        for flip in (False, True):
            a, b = (xs.flip(1), gs.flip(1)) if flip else (xs, gs)
            a, b = (z.view(C, L, -1, n).flip(3) if flip else z.view(C, L, -1, n) for z in (a, b))
            sums = torch.einsum("cl,clmn->cmn", powers.flip(1), a)
            slopes = torch.einsum("cl,clmn->cmn", (powers * i).flip(1), a)
            state = decay_scan(sums, log_decay * L)  # (C, N, n)
            lam_chunk = torch.exp(log_decay * L)[:, None, None]
            slope = decay_scan(lam_chunk * L * state + slopes, log_decay * L)
            gl = torch.einsum("cl,clmn->cmn", powers, b)
            gl_slope = torch.einsum("cl,clmn->cmn", powers * i, b)
            total = total + (gl * slope + gl_slope * state).sum((1, 2))
    return total


def bi_wkv_chunked(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Forward pass: (y, denominator), both (B, T, C) in at least float32, the denominator relative to exp(max k)."""
    log_decay = -w / k.shape[1]
    e = torch.exp(k - k.amax(dim=1, keepdim=True))
    numerator, denominator = toeplitz(torch.stack([e * v, e]), log_decay, u)
    return numerator / denominator, denominator


def bi_wkv_chunked_backward(
    grad: Tensor, w: Tensor, u: Tensor, k: Tensor, v: Tensor, y: Tensor, denominator: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of w, u (C,) and k, v (B, T, C). A is symmetric, so they are the same scan of the gradient."""
    T = k.shape[1]
    log_decay = -w / T
    e = torch.exp(k - k.amax(dim=1, keepdim=True))
    x = torch.stack([e * v, e])
    g = torch.stack([grad / denominator, -grad * y / denominator])
    d_ev, d_e = toeplitz(g, log_decay, u)
    grad_v = e * d_ev
    grad_k = grad_v * v + e * d_e  # max k cancels between numerator and denominator
    grad_u = u.exp() * (x * g).sum((0, 1, 2))
    grad_w = -toeplitz_decay_gradient(x, g, log_decay) / T
    return grad_w, grad_u, grad_k, grad_v


def decays(w: Tensor, steps: Tensor, length: int) -> Tensor:
    """(n, C): what is left of a token after so many steps (n,) in a sequence of ``length``."""
    return torch.exp(steps[:, None] * (-w / length))


def highest(top: Tensor, *states: Tensor | None) -> Tensor:
    """The largest keys (B, C) of tokens and of the states (B, 3, C) that are to be added to them."""
    for state in states:
        top = top if state is None else torch.maximum(top, state[:, 0])
    return top


def bi_wkv_segment(
    w: Tensor,
    u: Tensor,
    k: Tensor,
    v: Tensor,
    length: int,
    left: Tensor | None,
    right: Tensor | None,
    results: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """See :func:`stylecli.ops.bi_wkv.segment.bi_wkv_segment`; y is None unless ``results``."""
    w, u, k, v = (t.float() for t in (w, u, k, v))
    L = k.shape[1]
    top = highest(k.amax(1), left, right)
    e = torch.exp(k - top[:, None])
    x = torch.stack([e * v, e])  # (2, B, L, C)
    left, right = (x.new_zeros(x[:, :, 0].shape) if s is None else relative(s, top) for s in (left, right))
    far = decays(w, torch.arange(L + 1, device=w.device), length)
    to_right = left * far[L] + (x * far[:L].flip(0)).sum(2)
    to_left = right * far[L] + (x * far[:L]).sum(2)
    y = None
    if results:
        sums = toeplitz(x, -w / length, u) + left[:, :, None] * far[:L] + right[:, :, None] * far[:L].flip(0)
        y = sums[0] / sums[1]
    return y, packed(top, to_right), packed(top, to_left)


def relative(state: Tensor, top: Tensor) -> Tensor:
    """A state (B, 3, C) as its two sums (2, B, C) relative to exp(top), which is (B, C)."""
    return state[:, 1:].transpose(0, 1) * torch.exp(state[:, 0] - top)


def packed(top: Tensor, sums: Tensor) -> Tensor:
    """Largest keys (B, C) and sums (2, B, C) relative to them as a state (B, 3, C)."""
    return torch.cat([top[:, None], sums.transpose(0, 1)], 1)
