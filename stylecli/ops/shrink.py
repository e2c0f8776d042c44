"""Photographs made smaller, bicubic with low-pass: compiled, for the CPU. In strips of plain torch, for any device:
:func:`stylecli.paint.size.resize`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import native

_A = -0.5  # the slope of Keys' kernel that F.interpolate takes with antialias; without, it takes -0.75


def cubic(x: npt.NDArray[np.float64], a: float) -> npt.NDArray[np.float64]:
    """Keys' convolution kernel for distances x >= 0."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def taps(length: int, result: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """First input position (result,) and weights (result, K) of every output position, as ``F.interpolate`` has them
    with mode bicubic and antialias."""
    scale = length / result
    wide = max(1.0, scale)
    centre = (np.arange(result) + 0.5) * scale
    first = np.maximum((centre - 2 * wide + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + 2 * wide + 0.5).astype(np.int64), length)
    tap = np.arange(int((last - first).max()))
    weights = cubic(np.abs(first[:, None] + tap - centre[:, None] + 0.5) / wide, _A)
    weights[first[:, None] + tap >= last[:, None]] = 0
    return first, (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def shrink(photo: npt.NDArray[Any], size: tuple[int, int]) -> Tensor | None:
    """A photograph (H, W, 3) of bytes, or of float32 in 0..1, contiguous, as (3, *size) in 0..1; None where there is no
    compiled path, or none that was proven here."""
    (H, W), (h, w) = photo.shape[:2], size
    out = torch.empty(3, h, w)
    if not native.paints("shrink", out):
        return None
    rows, columns = taps(H, h), taps(W, w)
    sizes = (H, W, h, w, rows[1].shape[1], columns[1].shape[1])
    native.call("shrink", photo.dtype.name, *sizes, photo, *rows, *columns, out)
    return out


def shrunk(photo: Tensor, height: int, width: int) -> Tensor:
    """The same of a tensor (H, W, 3) of floats, by whatever path there is."""
    if photo.dtype == torch.float32 and not photo.requires_grad:
        result = shrink(photo.contiguous().numpy(), (height, width))
        if result is not None:
            return result
    return shrink_reference(photo, height, width).to(photo.dtype)


def shrink_reference(photo: Tensor, height: int, width: int) -> Tensor:
    """The formula in float64."""
    x = photo.double().permute(2, 0, 1)[None]
    return F.interpolate(x, size=(height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)
