"""StyleMamba in strips (:mod:`stylecli.tiling`): its scan of the whole map."""

from __future__ import annotations

from typing import Any

from stylecli.models.style_mamba.blocks import scan_along
from stylecli.ops.selective_scan import selective_scan_from
from stylecli.ops.selective_scan.of_map import Recurrence
from stylecli.tiling.lazy_map import LazyFeatureMap, empty
from stylecli.tiling.local import handles
from stylecli.tiling.scanning import TOKENS, segments


@handles(scan_along)
def _scan_along(
    func: Any, u: LazyFeatureMap, dt_B_C: LazyFeatureMap, by: Recurrence, direction: int
) -> LazyFeatureMap:
    """Selective scan by segments, each beginning in the states in which the last one ended."""
    backwards = direction % 2 == 1
    (_, H, W, _), device = u.shape, u.device
    inputs, chosen = u.whole(), dt_B_C.whole()
    result = empty(u.shape, u.dtype)
    parts = list(segments(H, W, 1, direction >= 2, TOKENS))
    states = None
    for part in reversed(parts) if backwards else parts:
        tokens, choice = part.take(inputs, device), part.take(chosen, device)
        if backwards:
            tokens, choice = tokens.flip(1), choice.flip(1)
        delta, b, c = by.split(choice)
        y, states = selective_scan_from(
            states, tokens, delta, by.decay, b, c, by.D, delta_bias=by.step_bias, softplus=True
        )
        part.put(result, y.flip(1) if backwards else y)
    scanned = LazyFeatureMap(u.grid, u.shape, u.dtype, axis=1)
    scanned.keep(result)
    return scanned
