"""The text-image encoder: two towers, one space.

Source: SigLIP (Zhai et al., arXiv 2303.15343) for the loss and its learned temperature and bias; own decisions are the
towers, and that the text tower is taught by a sentence encoder first and then kept fixed (as in LiT, arXiv 2111.07991).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from stylecli.models.loading import load_module
from stylecli.models.siglip.char_ngrams import CharNgramModel
from stylecli.models.siglip.config import SiglipConfig
from stylecli.models.siglip.image import ImageTower
from stylecli.models.siglip.text import TextTower

EIGHT_BITS = ("text.", "image.", "centres")
"""Parts whose weights are released in eight bits: embeddings of phrases turn by less than 2 degrees."""


class Siglip(nn.Module):
    """Prompts and pictures as unit vectors of one space; the more alike, the larger their dot product."""

    def __init__(self, config: SiglipConfig):
        super().__init__()
        self.config = config
        self.text = TextTower(config)
        self.image = ImageTower(config)
        # Log of the temperature's inverse, and the bias. SigLIP begins at 10 and -10, where one of thousands of pairs
        # is true; here it is one of about thirty.
        self.scale = nn.Parameter(torch.tensor(10.0).log())
        self.bias = nn.Parameter(torch.tensor(-4.0))
        self.centres: Tensor
        self.letters: Tensor
        self.register_buffer("centres", torch.zeros(config.centres, config.width))
        self.register_buffer("letters", torch.zeros(config.spellings, 3))

    def encode_text(self, prompts: list[str]) -> Tensor:
        """(B, width) float32, of unit length. Any text will do, an empty one and a very long one too."""
        return self.text(prompts)

    def encode_image(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1, sRGB, at least 32 pixels wide and high -> (B, width), of unit length."""
        return self.image(images)

    def logits(self, images: Tensor, texts: Tensor) -> Tensor:
        """Log-odds that text belongs to image, from their embeddings (N, width) and (M, width) -> (N, M)."""
        return images @ texts.T * self.scale.exp() + self.bias

    def in_domain_score(self, prompts: list[str]) -> Tensor:
        """How close prompts are to what the encoder was trained on, (B,) in 0..1. Below ``config.threshold``: far.

        Own decision, a measure and no word list: the root of the cosine to the nearest centre of the training
        phrases, times the geometric mean of the probabilities of the prompt's letters. A prompt without letters is
        far from everything.
        """
        nearest = (self.encode_text(prompts) @ self.centres.T).amax(1).clamp(min=0)
        ngrams = CharNgramModel(self.letters)
        letters = [ngrams.log_probability(p) for p in prompts]
        return nearest.sqrt() * torch.tensor(letters, device=nearest.device).exp()

    @torch.no_grad()
    def set_domain(self, centres: Tensor, letters: Tensor, threshold: float) -> None:
        """Keep what :meth:`in_domain_score` measures by: (centres, width), (N, 3) and the limit."""
        self.config = replace(
            self.config, centres=len(centres), spellings=len(letters), threshold=round(threshold, 4)
        )
        self.centres, self.letters = centres.to(self.centres), letters.to(self.letters)


def load_siglip(path: Path) -> Siglip:
    """The encoder in ``path`` (safetensors), in eval mode and fixed. Raises WeightsError."""
    return load_module(path, "siglip", lambda config: Siglip(SiglipConfig.from_json(config)))
