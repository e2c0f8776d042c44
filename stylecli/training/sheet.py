"""Contact sheets of a fixed validation set: a falling loss with ugly pictures is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.siglip import Siglip
from stylecli.models.style_mamba.model import StyleMamba
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


@torch.inference_mode()
def write_prompt_sheet(
    path: Path,
    photographs: Path,
    model: StyleMamba,
    autoencoder: Autoencoder,
    siglip: Siglip,
    rows: int = 5,
    size: int = 384,
) -> None:
    """Paint some photographs of a folder as PROMPTS say, as one PNG."""
    device = next(model.parameters()).device
    codes = [model.style_code(siglip.encode_text([p]).to(device)) for p in PROMPTS]
    paths = list_images([photographs])
    cells: list[list[Image.Image | None]] = []
    for p in paths[:: max(1, len(paths) // rows)][:rows]:
        photo = centre_square(read_rgb(p), size)
        latent = autoencoder.encode(to_tensor(photo)[None].to(device))
        cells.append([photo, *(to_image(autoencoder.decode(model(latent, c))[0]) for c in codes)])
    grid(cells, cell=size // 2).save(path)
