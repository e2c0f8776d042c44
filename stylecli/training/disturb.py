"""Pictures made out of pictures on their own device, good and bad ones: what a measure of style must not be fooled by.

Everything is drawn from a generator of that device, so that nothing waits for it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from stylecli.ops.luma import luma


def draw(g: Generator, B: int, least: float = 0.0, most: float = 1.0) -> Tensor:
    """(B, 1, 1, 1) even between both."""
    return least + (most - least) * torch.rand(B, 1, 1, 1, generator=g, device=g.device)


def chosen(g: Generator, B: int, share: float) -> Tensor:
    """(B, 1, 1, 1): 1 with this probability, or else 0."""
    return (draw(g, B) < share).float()


def cropped(pictures: Tensor, g: Generator, size: int, least: float, most: float) -> Tensor:
    """Squares (B, 3, size, size), anywhere in pictures (B, 3, S, S), of sides between the shares ``least`` and
    ``most`` of theirs, mirrored half of the time."""
    B = len(pictures)
    share = draw(g, B, least, most).view(B)
    x, y = ((2 * draw(g, B).view(B) - 1) * (1 - share) for _ in range(2))
    mirror = 1 - 2 * chosen(g, B, 0.5).view(B)
    zero = torch.zeros_like(x)
    rows = [torch.stack([share * mirror, zero, x], 1), torch.stack([zero, share, y], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [B, 3, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, "bilinear", "reflection", align_corners=False)


def blended(a: Tensor, b: Tensor, g: Generator) -> Tensor:
    """Some of ``b`` in ``a``, both (B, 3, H, W): as a whole, in soft spots or in rectangles, or nothing of it."""
    B, _, H, W = a.shape
    coarse = torch.rand(B, 1, 9, 9, generator=g, device=g.device)
    soft, hard = (F.interpolate(coarse, (H, W), mode=m) for m in ("bilinear", "nearest"))
    mask = torch.where(chosen(g, B, 0.5) > 0, soft, hard)
    mask = ((mask - draw(g, B)) * draw(g, B, 1, 20) + 0.5).clamp(0, 1) * chosen(g, B, 0.5)
    return torch.lerp(a, b, mask * draw(g, B, 0.3, 1))


def recoloured(image: Tensor, g: Generator) -> Tensor:
    """(B, 3, H, W) with another saturation and contrast, and colours mixed, two thirds of the time."""
    B = len(image)
    on = chosen(g, B, 0.66)
    mean = image.mean((2, 3), keepdim=True)
    mixing = torch.eye(3, device=g.device) + on * 0.4 * draw(g, B) * torch.randn(
        B, 1, 3, 3, generator=g, device=g.device
    )
    x = torch.einsum("bij,bjhw->bihw", mixing[:, 0], image - mean)
    x = torch.lerp(luma(x), x, (on * draw(g, B, -0.8, 0.6)).exp()) * (on * draw(g, B, -0.5, 0.5)).exp()
    shift = on * 0.15 * torch.randn(B, 3, 1, 1, generator=g, device=g.device)
    return (x + mean + shift).clamp(0, 1)


def spoiled(image: Tensor, g: Generator) -> Tensor:
    """(B, 3, H, W), sides multiples of 8, with some of what bad paintings have: blur or halos, noise, a lattice,
    blocks of JPEG."""
    B, _, H, W = image.shape
    blurred = F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="reflect"), 5, 1)
    x = torch.lerp(image, blurred, chosen(g, B, 0.35) * draw(g, B, -2.0, 1.0))
    x = x + chosen(g, B, 0.35) * 0.15 * draw(g, B).square() * torch.randn(
        image.shape, generator=g, device=g.device
    )
    large = torch.randn(B, 3, H // 4, W // 4, generator=g, device=g.device)
    x = x + chosen(g, B, 0.2) * 0.2 * draw(g, B) * F.interpolate(large, (H, W), mode="bilinear")
    tile = torch.randn(B, 3, 4, 4, generator=g, device=g.device)
    x = x + chosen(g, B, 0.3) * 0.12 * draw(g, B) * tile.repeat(1, 1, H // 4, W // 4)
    return torch.lerp(x, _compressed(x, 0.15 * draw(g, B)[..., None, None]), chosen(g, B, 0.25)).clamp(0, 1)


def _compressed(image: Tensor, step: Tensor) -> Tensor:
    """Blocks of 8 x 8 with rounded cosine transforms, fine waves more coarsely."""
    B, C, H, W = image.shape
    n = torch.arange(8.0, device=image.device)
    cosines = torch.cos(torch.pi / 8 * (n + 0.5) * n[:, None]) * torch.where(n[:, None] > 0, 0.5, 0.125**0.5)
    blocks = image.reshape(B, C, H // 8, 8, W // 8, 8).transpose(3, 4)  # (B, C, down, across, 8, 8)
    waves = cosines @ blocks @ cosines.T
    steps = 0.02 + step * (1 + n + n[:, None])
    blocks = cosines.T @ ((waves / steps).round() * steps) @ cosines
    return blocks.transpose(3, 4).reshape(B, C, H, W)
