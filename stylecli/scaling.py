"""The size at which a picture is painted, and the way back to its full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_RADIUS = 3  # of the window in which output is compared with content, in pixels of the working size
_NOISE = 1e-3  # variance under which content counts as flat


def working_size(height: int, width: int, side: int, stroke_size: float, smallest: int) -> tuple[int, int]:
    """Size at which to paint: short side ``side / stroke_size``, never larger than the picture, both >= smallest.

    Strokes are of constant size in pixels, so painting smaller makes them larger on the finished picture.
    """
    scale = min(1.0, side / (stroke_size * min(height, width)))
    return max(smallest, round(height * scale)), max(smallest, round(width * scale))


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 3, H, W) to (B, 3, *size), bicubic, with low-pass when shrinking, values kept in 0..1."""
    if image.shape[2:] == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def _luma(image: Tensor) -> Tensor:
    weights = image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)


def _mean(x: Tensor) -> Tensor:
    size = 2 * _RADIUS + 1
    return F.avg_pool2d(F.pad(x, (_RADIUS,) * 4, mode="replicate"), size, stride=1)


def enlarge_with_detail(painted: Tensor, small: Tensor, photo: Tensor) -> Tensor:
    """Bring a painted picture to the photograph's full size without going soft.

    The detail that the photograph lost on its way down to the working size is added back, in every place by the
    gain with which the painting follows the photograph there: the slope of a local linear fit, as in a guided
    filter (He et al., TPAMI 2013). Where strokes ignore the photograph they stay as painted.

    Args:
        painted, small: (B, 3, h, w) painting and photograph at the working size, 0..1.
        photo: (B, 3, H, W) photograph at full size, 0..1.

    Returns:
        (B, 3, H, W) in 0..1.
    """
    size = (photo.shape[2], photo.shape[3])
    if painted.shape[2:] == size:
        return painted
    guide = _luma(small)
    mean_guide = _mean(guide)
    covariance = _mean(guide * painted) - mean_guide * _mean(painted)
    variance = _mean(guide * guide) - mean_guide * mean_guide
    gain = (covariance / (variance + _NOISE)).clamp(-1, 1.5)  # (B, 3, h, w)
    detail = _luma(photo) - F.interpolate(guide, size=size, mode="bicubic")
    enlarged = F.interpolate(painted, size=size, mode="bicubic")
    gain = F.interpolate(gain, size=size, mode="bilinear")
    return torch.addcmul(enlarged, gain, detail).clamp_(0, 1)
