"""Bidirectional WKV, written as its formula: every pair of tokens, in float64. The yardstick of the fast paths."""

from __future__ import annotations

import torch
from torch import Tensor


def bi_wkv_reference(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Bi-WKV of Vision-RWKV (arXiv 2403.02308, eq. 3) by the dense (T, T) sum, in float64.

    ::

        a(t, i) = exp(k_i - (|t - i| - 1) * w / T)   for i != t
        a(t, t) = exp(k_t + u)
        y_t     = sum_i a(t, i) v_i / sum_i a(t, i)

    Args:
        w: (C,) decay per channel; the decay per step is ``exp(-w / T)``. May be negative.
        u: (C,) bonus of the token itself.
        k: (B, T, C) keys.
        v: (B, T, C) values.

    Returns:
        (B, T, C) in float64. Needs T * T * B * C numbers: for tests.
    """
    w, u, k, v = (x.double() for x in (w, u, k, v))
    T = k.shape[1]
    t = torch.arange(T, device=k.device)
    distance = (t[:, None] - t[None, :]).abs()  # (T, T)
    logits = -(distance - 1)[..., None] * w / T  # (T, T, C)
    logits = torch.where((distance == 0)[..., None], u.expand_as(logits), logits)
    logits = logits + k[:, None]  # (B, T, T, C): query t, key i
    return torch.einsum("btic,bic->btc", logits.softmax(dim=2), v)
