"""Contact sheets of a fixed validation set: a falling loss with ugly pictures is a failure."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.siglip import Siglip
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.montage import grid
from stylecli.training.data import centre_square, read_rgb, to_tensor


def to_image(x: Tensor) -> Image.Image:
    """(3, H, W) in 0..1 to a picture."""
    return Image.fromarray((x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def _evenly(paths: list[Path], count: int) -> list[Path]:
    return paths[:: max(1, len(paths) // count)][:count]


@torch.no_grad()
def write_sheet(
    path: Path, model: StyleRwkv, photographs: list[Path], styles: list[Path], side: int = 6, size: int = 384
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


PROMPTS = (
    "Vincent van Gogh style",
    "Paul Gauguin style",
    "ukiyo-e",
    "cubism painting",
    "line sketch",
    "mosaic tiles",
    "Jackson Pollock style",
    "a stormy sea at night",
)


@torch.no_grad()
def write_prompt_sheet(
    path: Path,
    photographs: list[Path],
    model: StyleMamba,
    autoencoder: Autoencoder,
    siglip: Siglip,
    rows: int = 5,
    size: int = 384,
) -> None:
    """Paint some photographs of a folder as PROMPTS say, as one PNG."""
    device = next(model.parameters()).device
    codes = [model.style_code(siglip.encode_text([p]).to(device)) for p in PROMPTS]
    cells: list[list[Image.Image | None]] = []
    for p in _evenly(photographs, rows):
        photo = centre_square(read_rgb(p), size)
        latent = autoencoder.encode(to_tensor(photo)[None].to(device))
        cells.append([photo, *(to_image(autoencoder.decode(model(latent, c))[0]) for c in codes)])
    grid(cells, cell=size // 2).save(path)
