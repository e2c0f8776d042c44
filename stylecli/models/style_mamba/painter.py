"""The text-guided painter: a photograph through the auto-encoder's encoder, StyleMamba, and the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.backbones.autoencoder import PublishedAutoencoder
from stylecli.models.style_mamba.model import StyleMamba


class TextPainter(nn.Module):
    """Images are (B, 3, H, W) in 0..1, sRGB; a style is what ``fusion`` takes, (1 or B, style_size).

    Args:
        fusion, autoencoder: its parts. photograph: (1, E) embedding of "a photo".
    """

    photograph: Tensor

    def __init__(
        self, fusion: StyleMamba, autoencoder: Autoencoder | PublishedAutoencoder, photograph: Tensor
    ):
        super().__init__()
        self.fusion, self.autoencoder = fusion, autoencoder
        self.register_buffer("photograph", photograph)

    @property
    def style_size(self) -> int:
        return self.fusion.style_size

    @property
    def vector_size(self) -> int:
        return self.fusion.config.style

    def paint(self, content: Tensor, style: Tensor, strength: float = 1.0, seed: int = 0) -> Tensor:
        """Paint content (B, 3, H, W), any size, as the style says: (B, 3, H, W), about in 0..1.

        Between the photograph (``strength`` 0) and the full style (1) latents are mixed, and what the auto-encoder
        cannot reconstruct of the photograph is given back in proportion."""
        H, W = content.shape[2:]
        latent = self.autoencoder.encode(content)
        painted = self.fusion(latent, self.fusion.style_code(style), seed)
        if strength == 1:
            return self.autoencoder.decode(painted, (H, W))
        mixed = self.autoencoder.decode(torch.lerp(latent, painted, strength), (H, W))
        return mixed + (1 - strength) * (content - self.autoencoder.decode(latent, (H, W)))
