"""Stable Diffusion's auto-encoder (arXiv 2112.10752), or a small one with its latent space, in place of our own."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class PublishedAutoencoder(nn.Module):
    """What :class:`stylecli.models.autoencoder.model.Autoencoder` does, done by a network of ``diffusers``.

    Images are (B, 3, H, W) in 0..1, sRGB; latents are (B, 4, h, w) with about unit variance.

    Args:
        vae: an ``AutoencoderKL`` or an ``AutoencoderTiny``.
    """

    def __init__(self, vae: Any):
        super().__init__()
        self.vae = vae
        self.scale = float(vae.config.scaling_factor)
        self.stride = 2 ** (len(vae.config.block_out_channels) - 1)

    def encode(self, image: Tensor) -> Tensor:
        """(B, 3, H, W), any size, to (B, 4, ceil(H / 8), ceil(W / 8)): the mean of what the encoder deems likely."""
        encoded = self.vae.encode(self._pad(image) * 2 - 1)
        latent = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        return latent * self.scale

    def decode(self, latent: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(B, 4, h, w) to (B, 3, 8 h, 8 w), about in 0..1, cut to ``size`` = (H, W)."""
        image: Tensor = self.vae.decode(latent / self.scale).sample / 2 + 0.5
        return image if size is None else image[..., : size[0], : size[1]]

    def _pad(self, x: Tensor) -> Tensor:
        H, W = x.shape[2:]
        s = self.stride
        return F.pad(x, (0, -W % s, 0, -H % s), mode="replicate") if H % s or W % s else x
