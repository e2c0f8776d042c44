"""Numbers without a stated range - 32-bit whole ones and floats - as 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stylecli.media.picture import WordArray

_WORD = 65535
_NEARLY = 0.25  # by how much floats of 0..1 may be beyond: filters ring
_FEW = 0.1  # percent of the values that do not decide about the others
_LOOKED_AT = 1 << 20


def words_from_floats(values: npt.NDArray[Any], notices: list[str]) -> WordArray:
    """Floats of any shape: 0..1, or whole numbers of 8 or 16 bits; anything else is stretched from black to white.

    A few stray values do not decide: they are clipped. Infinity is white, minus infinity black, and what is no number
    is black.
    """
    finite = np.isfinite(values)
    if not finite.all():
        if np.isnan(values).any():
            notices.append("values that are no numbers taken as black")
        if np.isinf(values).any():
            notices.append("infinite values taken as white (below zero: black)")
    known = values[finite]
    if not known.size:
        known = np.zeros(1, np.float32)
    low, high = float(known.min()), float(known.max())
    sampled = known[:: 1 + known.size // _LOOKED_AT]
    common_low, common_high = (float(v) for v in np.percentile(sampled, [_FEW, 100 - _FEW], method="nearest"))
    if common_low >= -_NEARLY and common_high <= 1 + _NEARLY and common_low < 1:
        if low < 0 or high > 1:
            notices.append(f"values {low:.6g} to {high:.6g} clipped to 0 and 1")
        low, high = 0, 1
    elif low >= 0 and high <= _WORD and bool((sampled == np.floor(sampled)).all()):
        low, high = 0, 255 if high <= 255 else _WORD
    else:
        if common_high > common_low:
            low, high = common_low, common_high
        notices.append(f"values {low:.6g} to {high:.6g} stretched to black and white")
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return stretched(values, low, high)


def stretched(values: npt.NDArray[Any], low: float, high: float) -> WordArray:
    """``low`` .. ``high`` as the whole range of 16 bits; a picture of one value is black."""
    if high == low:
        return np.zeros(values.shape, dtype=np.uint16)
    result = np.empty(values.shape, np.uint16)
    for top in range(len(values)):  # row by row: no copy of twice the size
        scaled = (values[top].astype(np.float64) - low) * (_WORD / (high - low))
        result[top] = np.rint(np.clip(scaled, 0, _WORD))
    return result
