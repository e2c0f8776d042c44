"""Contact sheets of a fixed validation set: a falling loss with ugly pictures is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.montage import grid
from stylecli.training.data import centre_square, list_images, read_rgb, to_tensor

if TYPE_CHECKING:
    from stylecli.training.rwkv import TrainConfig


def to_image(x: Tensor) -> Image.Image:
    """(3, H, W) in 0..1 to a picture."""
    return Image.fromarray((x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


@torch.inference_mode()
def write_sheet(
    path: Path, config: TrainConfig, weights: dict[str, Tensor], side: int = 6, size: int = 384
) -> None:
    """Paint ``side`` photographs in ``side`` styles with the averaged weights, as one PNG."""
    assert config.val_content and config.val_style
    model = StyleRwkv(config.network).to(config.device)
    model.load_state_dict(weights)

    def pick(folder: Path) -> list[Path]:
        paths = list_images([folder])
        return paths[:: max(1, len(paths) // side)][:side]

    def read(p: Path, n: int) -> Image.Image:
        return centre_square(read_rgb(p), n)

    styles = [read(p, size) for p in pick(config.val_style)]
    codes = [model.encode_style(to_tensor(s)[None].to(config.device)) for s in styles]
    rows: list[list[Image.Image | None]] = [[None, *styles]]
    for p in pick(config.val_content):
        photo = read(p, size)
        x = to_tensor(photo)[None].to(config.device)
        rows.append([photo, *(to_image(model(x, c)[0]) for c in codes)])
    grid(rows, cell=size // 2).save(path)
