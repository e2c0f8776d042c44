"""Contact sheets of a fixed validation set: a falling loss with ugly pictures is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from stylecli.montage import grid
from stylecli.training.data import centre_square, read_rgb, to_tensor


class Model(Protocol):
    """A network that paints photographs (B, 3, H, W) in the styles of pictures."""

    def encode_style(self, style: Tensor) -> Tensor: ...
    def paint(self, content: Tensor, style: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...


def to_image(x: Tensor) -> Image.Image:
    """(3, H, W) in 0..1 to a picture."""
    return Image.fromarray((x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def _evenly(paths: list[Path], count: int) -> list[Path]:
    return paths[:: max(1, len(paths) // count)][:count]


@torch.no_grad()
def write_sheet(
    path: Path, model: Model, photographs: list[Path], styles: list[Path], side: int = 6, size: int = 384
) -> None:
    """Paint ``side`` of the photographs in ``side`` of the styles, as one PNG."""
    device = next(model.parameters()).device
    looks = [centre_square(read_rgb(p), size) for p in _evenly(styles, side)]
    codes = [model.encode_style(to_tensor(s)[None].to(device)) for s in looks]
    rows: list[list[Image.Image | None]] = [[None, *looks]]
    for p in _evenly(photographs, side):
        photo = centre_square(read_rgb(p), size)
        x = to_tensor(photo)[None].to(device)
        rows.append([photo, *(to_image(model.paint(x, c)[0]) for c in codes)])
    grid(rows, cell=size // 2).save(path)
