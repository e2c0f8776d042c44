"""Operations over the whole image, accumulated strip by strip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecli.models.layers import EPS, mean_std
from stylecli.models.style_mamba.blocks import scan_along
from stylecli.models.style_rwkv.blocks import wkv_of_map
from stylecli.ops.bi_wkv import bi_wkv_leftward, bi_wkv_segment
from stylecli.ops.selective_scan import selective_scan_from
from stylecli.ops.selective_scan.of_map import Recurrence
from stylecli.tiling.local import handles
from stylecli.tiling.strips import Strips, empty, hold

# What is worked on at a time is small, whatever the strips: these are not tried again with less.
_NUMBERS = 1 << 20  # of a map, for its statistics
_TOKENS = 1 << 14  # of a segment of a scan


@handles(mean_std)
def _mean_std(func: Any, x: Strips) -> tuple[Tensor, Tensor]:
    """Means and squared deviations of strips, put together as in Chan et al. (1979), in float64."""
    whole = x.whole()
    count = 0
    mean = squares = torch.zeros(())
    for rows in whole.split(max(1, _NUMBERS // (x.shape[1] * x.shape[3])), dim=2):
        tokens = rows.to(x.device).permute(0, 2, 3, 1).flatten(1, 2).float()  # (B, n, C)
        own = tokens.mean(1)
        own_squares = (tokens - own[:, None]).square().sum(1).double()
        own, n = own.double(), tokens.shape[1]
        if not count:
            mean, squares = torch.zeros_like(own), torch.zeros_like(own)
        gap = own - mean
        mean = mean + gap * (n / (count + n))
        squares = squares + own_squares + gap.square() * (count * n / (count + n))
        count += n
    mean, std = mean.float(), (squares / count + EPS).sqrt().float()
    return mean[..., None, None], std[..., None, None]


@dataclass(frozen=True)
class Segment:
    """Tokens of a map (B, H, W, .) that follow one another in a scan: some rows and columns, gone through row by row,
    or column by column."""

    rows: slice
    columns: slice
    down: bool

    def take(self, whole: Tensor, device: torch.device) -> Tensor:
        """(B, H, W, C) to (B, L, C)."""
        part = whole[:, self.rows, self.columns].to(device)
        return (part.transpose(1, 2) if self.down else part).flatten(1, 2)

    def put(self, whole: Tensor, tokens: Tensor) -> None:
        part = whole[:, self.rows, self.columns]
        part = part.transpose(1, 2) if self.down else part
        part.copy_(tokens.view(part.shape))


def segments(height: int, width: int, skip: int, down: bool, tokens: int) -> Iterator[Segment]:
    """The order of S-Scanning (:mod:`stylecli.ops.skip_scan`) in pieces of about so many tokens."""
    for a in range(skip):
        for b in range(skip):
            length, other = (len(range(first, size, skip)) for first, size in ((a, height), (b, width)))
            if not length or not other:  # fewer rows or columns than sub-grids
                continue
            if down:
                length, other = other, length
            lines = max(1, tokens // other)
            for i in range(0, length, lines):
                start, stop = i * skip, min(length, i + lines) * skip
                if down:
                    yield Segment(slice(a, None, skip), slice(b + start, b + stop, skip), down)
                else:
                    yield Segment(slice(a + start, a + stop, skip), slice(b, None, skip), down)


@handles(wkv_of_map)
def _wkv_of_map(func: Any, w: Tensor, u: Tensor, k: Strips, v: Strips, skip: int, columns: bool) -> Strips:
    """Bi-WKV by segments. ``v`` is used up: the result takes its place in memory."""
    hold(k, v)  # together: nearly all of what they are computed from is the same
    keys, values = k.whole(), v.whole()
    (_, H, W, _), device = k.shape, k.device
    w, u = w.float(), u.float()
    parts = list(segments(H, W, skip, columns, _TOKENS))
    behind: list[Tensor | None] = [
        None
    ]  # the states of all tokens behind a segment, from the last one to the first
    for part in parts[:0:-1]:
        pair = part.take(keys, device), part.take(values, device)
        behind.append(bi_wkv_leftward(w, *pair, H * W, behind[-1]))
    before = None
    for part, right in zip(parts, reversed(behind), strict=True):
        pair = part.take(keys, device), part.take(values, device)
        y, before = bi_wkv_segment(w, u, *pair, H * W, before, right)
        part.put(values, y)
    result = Strips(v.grid, v.shape, v.dtype, axis=1)
    result.keep(values)
    v.read, v.kept = _used_up, None
    return result


def _used_up(top: int, bottom: int) -> Tensor:
    raise RuntimeError("these values were overwritten by the scan of them")


@handles(scan_along)
def _scan_along(func: Any, u: Strips, choices: Strips, by: Recurrence, direction: int) -> Strips:
    """Selective scan by segments, each beginning in the states in which the last one ended."""
    backwards = direction % 2 == 1
    (_, H, W, _), device = u.shape, u.device
    inputs, chosen = u.whole(), choices.whole()
    result = empty(u.shape, u.dtype)
    parts = list(segments(H, W, 1, direction >= 2, _TOKENS))
    states = None
    for part in reversed(parts) if backwards else parts:
        tokens, choice = part.take(inputs, device), part.take(chosen, device)
        if backwards:
            tokens, choice = tokens.flip(1), choice.flip(1)
        delta, b, c = by.chosen(choice)
        y, states = selective_scan_from(
            states, tokens, delta, by.decay, b, c, by.direct, delta_bias=by.step_bias, softplus=True
        )
        part.put(result, y.flip(1) if backwards else y)
    scanned = Strips(u.grid, u.shape, u.dtype, axis=1)
    scanned.keep(result)
    return scanned
