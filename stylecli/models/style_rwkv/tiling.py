"""StyleRWKV in strips (:mod:`stylecli.tiling`): its scan of the whole map, and its displaced reading."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from stylecli.models.style_rwkv.blocks import read_displaced, wkv_of_map
from stylecli.ops.bi_wkv import bi_wkv_leftward, bi_wkv_segment
from stylecli.tiling.lazy_map import LazyFeatureMap, Range, materialize_all
from stylecli.tiling.local import handles
from stylecli.tiling.scanning import TOKENS, segments


@handles(wkv_of_map)
def _wkv_of_map(
    func: Any, w: Tensor, u: Tensor, k: LazyFeatureMap, v: LazyFeatureMap, skip: int, columns: bool
) -> LazyFeatureMap:
    """Bi-WKV by segments. ``v`` is used up: the result takes its place in memory."""
    materialize_all(k, v)  # together: nearly all of what they are computed from is the same
    keys, values = k.whole(), v.whole()
    (_, H, W, _), device = k.shape, k.device
    w, u = w.float(), u.float()
    parts = list(segments(H, W, skip, columns, TOKENS))
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
    result = LazyFeatureMap(v.grid, v.shape, v.dtype, axis=1)
    result.keep(values)
    v.read, v.kept = _used_up, None
    return result


def _used_up(top: int, bottom: int) -> Tensor:
    raise RuntimeError("these values were overwritten by the scan of them")


@handles(read_displaced)
def _read_displaced(func: Any, x: LazyFeatureMap, offset: LazyFeatureMap, bound: float) -> LazyFeatureMap:
    halo = int(bound) + 1  # a place between two tokens is read from both

    def needs(top: int, bottom: int) -> list[Range]:
        return [(max(0, top - halo), min(x.height, bottom + halo)), (top, bottom)]

    def run(inputs: list[Tensor], ranges: list[Range], top: int, bottom: int) -> Tensor:
        (first, last), (rows, displacements) = ranges[0], inputs
        # The operator moves every token that it gets; those of the halo stay.
        around = (0, 0, 0, 0, 0, 0, top - first, last - bottom)
        moved = func(rows, F.pad(displacements, around), bound)
        return moved[:, top - first : bottom - first]

    return LazyFeatureMap(x.grid, x.shape, x.dtype, axis=1, parents=[x, offset], needs=needs, run=run)
