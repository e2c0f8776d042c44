"""The size at which a picture is painted, and the way back to its full size: both strip by strip.

Nothing of full size exists here as floats but the strip at hand. Every row is computed from the same rows below it,
whatever the strips: their height does not show in the result.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.devices import upload
from stylecli.ops.enlarge import packed
from stylecli.ops.luma import luma
from stylecli.ops.shrink import cubic, shrink, taps
from stylecli.paint.photo import Photo, strips_on
from stylecli.paint.pixels import strips

_RADIUS = 3  # of the window in which output is compared with content, in pixels of the working size
_NOISE = 1e-3  # variance under which content counts as flat


def working_size(height: int, width: int, side: int, stroke_size: float, smallest: int) -> tuple[int, int]:
    """Size at which to paint: short side ``side / stroke_size``, never larger than the picture, both >= smallest.

    Strokes are of constant size in pixels, so painting smaller makes them larger on the finished picture.
    """
    scale = min(1.0, side / (stroke_size * min(height, width)))
    return max(smallest, round(height * scale)), max(smallest, round(width * scale))


def resize(photo: Photo, size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """A photograph as (B, 3, *size), bicubic, with low-pass when shrinking, values kept in 0..1."""
    H, W = photo.height, photo.width
    if size == (H, W):
        return photo.all() if device is None else upload(photo.all(), device)
    if (device is None or device.type == "cpu") and photo.array is not None:
        made = shrink(photo.array, size)
        if made is not None:
            return made[None]
    first, weights = taps(H, size[0])  # (h,), (h, K)
    K = weights.shape[1]
    small = torch.zeros(photo.batch, 3, *size, device=device)
    for top, bottom in strips_on(device, H, W, photo.batch):
        rows = F.interpolate(
            photo.rows(top, bottom) if device is None else upload(photo.rows(top, bottom), device),
            size=(bottom - top, size[1]),
            mode="bicubic",
            antialias=True,
        )
        # The rows of the result that these contribute to, and by how much.
        begin, end = np.searchsorted(first + K, top, "right"), np.searchsorted(first, bottom)
        share = np.zeros((end - begin, bottom - top), np.float32)
        to, tap = np.nonzero(weights[begin:end])
        at = first[begin + to] + tap - top
        inside = (at >= 0) & (at < bottom - top)
        share[to[inside], at[inside]] = weights[begin + to[inside], tap[inside]]
        small[:, :, begin:end] += torch.einsum("oi,bciw->bcow", torch.from_numpy(share).to(device), rows)
    return small.clamp_(0, 1)


def _mean(x: Tensor) -> Tensor:
    """Over a square window, (B, C, H, W) to the same; one axis after the other, many times faster than avg_pool2d."""
    size = 2 * _RADIUS + 1
    x = F.pad(x, (_RADIUS,) * 4, mode="replicate")
    for axis in (2, 3):
        length = x.shape[axis] - size + 1
        total = x.narrow(axis, 0, length) + x.narrow(axis, 1, length)
        for start in range(2, size):
            total += x.narrow(axis, start, length)
        x = total
    return x / size**2


def _gain(painted: Tensor, guide: Tensor) -> Tensor:
    """(B, 3, h, w): how a painting follows the luma (B, 1, h, w) of its photograph, the slope of a local fit."""
    C = painted.shape[1]
    means = _mean(torch.cat([guide * painted, painted, guide * guide, guide], 1))
    mean_product, mean_painted, mean_square, mean_guide = means.split([C, C, 1, 1], 1)
    covariance = mean_product - mean_guide * mean_painted
    variance = mean_square - mean_guide * mean_guide
    return (covariance / (variance + _NOISE)).clamp(-1, 1.5)


def _enlarged(x: Tensor, at: Tensor, width: int, mode: str) -> Tensor:
    """Rows (B, C, h, w) widened, and read at positions ``at`` (n,) between them: (B, C, n, width)."""
    x = F.interpolate(x, size=(x.shape[2], width), mode=mode)
    if mode == "bicubic":
        below, taps = torch.floor(at), range(-1, 3)
        # -0.75: what F.interpolate takes where it does not shrink.
        shares = [torch.from_numpy(cubic((at - below - t).abs().numpy(), -0.75)) for t in taps]
    else:
        at = at.clamp(min=0)
        below, taps = torch.floor(at), range(2)
        shares = [1 - (at - below), at - below]
    rows = sum(
        x.index_select(2, (below + t).long().clamp(0, x.shape[2] - 1).to(x.device))
        * share.to(x.device, x.dtype)[:, None]
        for t, share in zip(taps, shares, strict=True)
    )
    assert isinstance(rows, Tensor)
    return rows


def packed_for_enlarging(painted: Tensor, small: Photo) -> Tensor:
    """What :func:`stylecli.ops.enlarge.enlarge` takes of a painting (1, 3, h, w) and its photograph at that size."""
    h, w = painted.shape[2:]
    parts = []
    for top, bottom in strips(h, w):
        first, last = max(0, top - _RADIUS), min(h, bottom + _RADIUS)
        guide = luma(small.rows(first, last))
        gain = _gain(painted[:, :, first:last], guide)
        inner = slice(top - first, bottom - first)
        parts.append(packed(painted[0, :, top:bottom], guide[0, :, inner], gain[0, :, inner]))
    return torch.cat(parts)


def enlarge_with_detail(painted: Tensor, small: Photo, photo: Tensor, top: int, height: int) -> Tensor:
    """Bring some rows of a painted picture to the photograph's full size without going soft.

    The detail that the photograph lost on its way down to the working size is added back, in every place by the
    gain with which the painting follows the photograph there: the slope of a local linear fit, as in a guided
    filter (He et al., TPAMI 2013). Where strokes ignore the photograph they stay as painted.

    Args:
        painted, small: (B, 3, h, w) painting and photograph at the working size, 0..1.
        photo: (B, 3, n, W) rows of the photograph at full size, 0..1, from row ``top`` of ``height``.

    Returns:
        (B, 3, n, W), these rows of the painting, in 0..1.
    """
    h, (n, W) = painted.shape[2], photo.shape[2:]
    # These rows' places among those of the working size.
    at = (torch.arange(top, top + n, dtype=torch.float64) + 0.5) * (h / height) - 0.5
    # Two rows around for the interpolation, and a window's radius around these for the gain.
    first = max(0, math.floor(float(at[0])) - 1 - _RADIUS)
    last = min(h, math.floor(float(at[-1])) + 3 + _RADIUS)
    painted, guide = painted[:, :, first:last], luma(small.rows(first, last).to(painted.device))
    gain = _gain(painted, guide)
    coarse = _enlarged(torch.cat([painted, guide], 1), at - first, W, "bicubic")  # (B, 4, n, W)
    gain = _enlarged(gain, at - first, W, "bilinear")
    return torch.addcmul(coarse[:, :3], gain, luma(photo) - coarse[:, 3:]).clamp_(0, 1)
