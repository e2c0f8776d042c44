"""Bi-WKV of a part of a sequence, given what enters it from both sides: for pictures that are painted in strips.

A state (B, 3, C), float32, is all that tokens on one side are to those on the other: their largest key K per channel,
and the sums of ``exp(k - K) v`` and of ``exp(k - K)``, each decayed over the tokens in between. To the token next to it
such a neighbour counts in full.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stylecli.ops.bi_wkv import chunked, compiled, cuda


def bi_wkv_segment(
    w: Tensor,
    u: Tensor,
    k: Tensor,
    v: Tensor,
    length: int,
    left: Tensor | None = None,
    right: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`stylecli.ops.bi_wkv.bi_wkv` of some tokens that follow one another. No gradients.

    Args:
        w, u: (C,). k, v: (B, L, C), L of the sequence's ``length`` tokens.
        left, right: the states (B, 3, C) of all tokens before and behind them; None: there are none.

    Returns:
        y (B, L, C) in v's dtype, and the state of all tokens up to here, which is the next segment's ``left``.
    """
    y, to_right, _ = _path(w, u, k, v).bi_wkv_segment(w, u, k, v, length, left, right, True)
    assert y is not None
    return y.to(v.dtype), to_right


def bi_wkv_leftward(w: Tensor, k: Tensor, v: Tensor, length: int, right: Tensor | None = None) -> Tensor:
    """The state of these tokens and all behind them, which is the segment's ``right`` before them."""
    return _path(w, w, k, v).bi_wkv_segment(w, w, k, v, length, None, right, False)[2]


def _path(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> Any:
    """Whose ``bi_wkv_segment`` takes these."""
    if compiled.usable(w, u, k, v):
        return compiled
    return cuda if cuda.usable(w, u, k, v) else chunked
