"""A painting of working size at its photograph's full size, with the photograph's detail: compiled, for the CPU.

What it is for, and the same strip by strip in plain torch, for any device: :mod:`stylecli.paint.size`.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops import native
from stylecli.ops.luma import luma


def packed(painted: Tensor, guide: Tensor, gain: Tensor) -> Tensor:
    """What is enlarged, (h, w, 8): a painting (3, h, w), its photograph's luma (1, h, w), and the gain (3, h, w) with
    which each colour of the painting follows that."""
    return torch.cat([painted, guide, gain, torch.zeros_like(guide)]).permute(1, 2, 0).contiguous()


def usable(small: Tensor) -> bool:
    """Whether there is a compiled path, proven here, that takes this map."""
    return native.paints("enlarge", small)


def enlarge(
    small: Tensor, photo: npt.NDArray[Any], out: npt.NDArray[Any], keeps_colour: bool = False
) -> None:
    """Fill ``out`` with ``clamp(painted + gain * (luma(photo) - guide))``: painted and guide enlarged bicubically, gain
    bilinearly, as ``F.interpolate`` does.

    Args:
        small: (h, w, 8) as of :func:`packed`, where ``usable`` says so.
        photo, out: (H, W, 3) uint8, or float32 in 0..1, contiguous.
        keeps_colour: only lightness comes from that; the photograph's colours stay.
    """
    h, w, _ = small.shape
    H, W, _ = photo.shape
    native.call("enlarge", photo.dtype.name, h, w, H, W, int(keeps_colour), small, photo, out)


def enlarged(small: Tensor, photo: Tensor, keeps_colour: bool = False) -> Tensor:
    """What ``enlarge`` fills: (H, W, 3) in 0..1, of a photograph of floats."""
    if not usable(small):
        return enlarge_reference(small, photo, keeps_colour).to(photo.dtype)
    out = torch.empty(photo.shape)
    enlarge(small.contiguous(), photo.contiguous().numpy(), out.numpy(), keeps_colour)
    return out


def enlarge_reference(small: Tensor, photo: Tensor, keeps_colour: bool = False) -> Tensor:
    """The formula in float64."""
    small, photo = small.double().permute(2, 0, 1)[None], photo.double().permute(2, 0, 1)[None]
    smooth = F.interpolate(small[:, :4], size=photo.shape[2:], mode="bicubic")
    gain = F.interpolate(small[:, 4:7], size=photo.shape[2:], mode="bilinear")
    light = luma(photo)
    result = (smooth[:, :3] + gain * (light - smooth[:, 3:])).clamp(0, 1)
    if keeps_colour:
        result = (photo + luma(result) - light).clamp(0, 1)
    return result[0].permute(1, 2, 0)
