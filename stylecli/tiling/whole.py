"""Operations over the whole image, accumulated strip by strip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.models.layers import EPS, mean_std
from stylecli.models.style_mamba.blocks import scan_along
from stylecli.models.style_rwkv.blocks import wkv_of_map
from stylecli.ops.bi_wkv import bi_wkv_with_denominator
from stylecli.ops.selective_scan import selective_scan
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
    """Bi-WKV by segments. ``v`` is used up: the result takes its place in memory.

    With e = exp(k - max k), numerator and denominator of a token are sums over all others, decayed by their distance.
    First every segment says what it adds to the sums of those after it and before it, relative to its own largest key;
    then each is computed by itself, and what it gets from both sides is added.
    """
    hold(k, v)  # together: nearly all of what they are computed from is the same
    keys, values = k.whole(), v.whole()
    (_, H, W, _), device = k.shape, k.device
    parts = list(segments(H, W, skip, columns, _TOKENS))
    decay = -w.float() / (H * W)  # logarithm, for one step
    longest = max(part.take(keys[..., :1], torch.device("cpu")).shape[1] for part in parts)
    far = torch.exp(decay * torch.arange(longest, device=device)[:, None])  # (L, C): after 0, 1, ... steps

    tops, rightwards, leftwards, ends = [], [], [], []
    for part in parts:
        key, value = part.take(keys, device).float(), part.take(values, device).float()  # (B, L, C)
        L = key.shape[1]
        top = key.amax(1)  # (B, C)
        e = torch.exp(key - top[:, None])
        pair = torch.stack([e * value, e])  # numerator and denominator, (2, B, L, C)
        tops.append(top)
        rightwards.append((pair * far[:L].flip(0)).sum(2))  # (2, B, C)
        leftwards.append((pair * far[:L]).sum(2))
        ends.append(torch.exp(decay * L))
    highest = torch.stack(tops).amax(0)
    shares = [torch.exp(top - highest) for top in tops]
    from_left = _carried(rightwards, shares, ends)
    from_right = _carried(leftwards[::-1], shares[::-1], ends[::-1])[::-1]

    for part, share, left, right in zip(parts, shares, from_left, from_right, strict=True):
        key, value = part.take(keys, device).float(), part.take(values, device).float()
        L = key.shape[1]
        y, denominator = bi_wkv_with_denominator(w.float() * (L / (H * W)), u.float(), key, value)
        denominator = denominator * share[:, None]
        both = torch.stack([y * denominator, denominator])
        both += left[:, :, None] * far[:L] + right[:, :, None] * far[:L].flip(0)
        part.put(values, both[0] / both[1])
    result = Strips(v.grid, v.shape, v.dtype, axis=1)
    result.keep(values)
    v.read, v.kept = _used_up, None
    return result


def _carried(sums: list[Tensor], shares: list[Tensor], ends: list[Tensor]) -> list[Tensor]:
    """What enters each segment: the sums of all before it, decayed over those between."""
    entering = [torch.zeros_like(sums[0])]
    for own, share, end in zip(sums, shares, ends, strict=True):
        entering.append(entering[-1] * end + own * share)
    return entering[:-1]


def _used_up(top: int, bottom: int) -> Tensor:
    raise RuntimeError("these values were overwritten by the scan of them")


_SHORT = 2.0**-20  # a step in which nothing decays


@handles(scan_along)
def _scan_along(func: Any, u: Strips, choices: Strips, by: Recurrence, direction: int) -> Strips:
    """Selective scan by segments, each beginning in the state in which the last one ended.

    The operator takes no state and gives none. So for every one of the N numbers of a state a token is put before the
    segment that brings it in, with a step so short that nothing decays, and one after it, with a step of zero, that
    reads it.
    """
    backwards = direction % 2 == 1
    (B, H, W, D), device, N = u.shape, u.device, by.decay.shape[1]
    inputs, chosen = u.whole(), choices.whole()
    result = empty(u.shape, u.dtype)
    decay, ones = by.decay.float(), torch.eye(N, device=device).expand(B, N, N)
    # The state's first numbers come in first and decay a little until the last one is in.
    bring = torch.exp(-decay * _SHORT * torch.arange(N - 1, -1, -1, device=device)) / _SHORT  # (D, N)
    state = torch.zeros(B, D, N, device=device)
    parts = list(segments(H, W, 1, direction >= 2, _TOKENS))
    nothing = torch.zeros(B, N, D, device=device)
    for part in reversed(parts) if backwards else parts:
        tokens, choice = part.take(inputs, device), part.take(chosen, device)
        if backwards:
            tokens, choice = tokens.flip(1), choice.flip(1)
        delta, b, c = (t.float() for t in by.chosen(choice))
        delta = F.softplus(delta + by.step_bias.float())
        y = selective_scan(
            torch.cat([(state * bring).transpose(1, 2), tokens.float(), nothing], 1),
            torch.cat([torch.full_like(nothing, _SHORT), delta, nothing], 1),
            decay,
            torch.cat([ones, b, torch.zeros_like(ones)], 1),
            torch.cat([torch.zeros_like(ones), c, ones], 1),
            by.direct.float(),
        )
        y, after = y[:, N:-N], y[:, -N:]
        state = after.transpose(1, 2)  # (B, D, N)
        part.put(result, y.flip(1) if backwards else y)
    scanned = Strips(u.grid, u.shape, u.dtype, axis=1)
    scanned.keep(result)
    return scanned
