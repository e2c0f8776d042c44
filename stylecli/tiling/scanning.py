"""Scans of whole maps in segments: which tokens follow one another, so many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

TOKENS = 1 << 14
"""Of a segment: little, whatever the strips, for it is not tried again with less."""


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
