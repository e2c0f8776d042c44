"""The text-image encoder: two towers, one space.

Source: SigLIP (Zhai et al., arXiv 2303.15343) for the loss and its learned temperature and bias; own decisions are the
towers, and that the text tower is taught by a sentence encoder first and then kept fixed (as in LiT, arXiv 2111.07991).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from stylecli.errors import WeightsError
from stylecli.models.siglip.config import SiglipConfig
from stylecli.models.siglip.image import ImageTower
from stylecli.models.siglip.text import TextTower


class Siglip(nn.Module):
    """Prompts and pictures as unit vectors of one space; the more alike, the larger their dot product."""

    def __init__(self, config: SiglipConfig):
        super().__init__()
        self.config = config
        self.text = TextTower(config)
        self.image = ImageTower(config)
        self.scale = nn.Parameter(torch.tensor(2.3))  # log of the temperature's inverse, as SigLIP begins
        self.bias = nn.Parameter(torch.tensor(-10.0))
        self.register_buffer("centres", torch.zeros(config.centres, config.width))

    def encode_text(self, prompts: list[str]) -> Tensor:
        """(B, width) float32, of unit length. Any text will do, an empty one and a very long one too."""
        return self.text(prompts)

    def encode_image(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1, sRGB, at least 32 pixels wide and high -> (B, width), of unit length."""
        return self.image(images)

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Log-odds that text belongs to image, from their embeddings (N, width) and (M, width) -> (N, M)."""
        return images @ texts.T * self.scale.exp() + self.bias

    def familiarity(self, prompts: list[str]) -> Tensor:
        """How close prompts are to what the encoder was trained on, (B,) in 0..1. Below ``config.threshold``: far.

        Own decision, a measure and no word list: the cosine to the nearest centre of the training phrases, times the
        square root of how much of the prompt the vocabulary knows.
        """
        nearest = (self.encode_text(prompts) @ self.centres.T).amax(1)
        known = torch.tensor([self.text.known(p) for p in prompts], device=nearest.device)
        return nearest.clamp(min=0) * known.sqrt()


def load_siglip(path: Path) -> Siglip:
    """The encoder in ``path`` (safetensors), in eval mode and fixed. Raises WeightsError."""
    try:
        with safe_open(path, "pt") as file:
            config = (file.metadata() or {}).get("config")
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: weights cannot be read ({str(error).splitlines()[0]})") from None
    if config is None:
        raise WeightsError(
            f"{path}: no configuration in the file's metadata; was it written by stylize train?"
        )
    try:
        with torch.device("meta"):  # no time spent on initialising what the file replaces
            model = Siglip(SiglipConfig.from_json(config))
        model.load_state_dict({k: v.float() for k, v in tensors.items()}, assign=True)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: not weights of siglip ({str(error).splitlines()[0]})") from None
    return model.eval().requires_grad_(False)


def with_threshold(model: Siglip, threshold: float) -> SiglipConfig:
    """The model's configuration with another threshold of familiarity."""
    return replace(model.config, threshold=threshold)
