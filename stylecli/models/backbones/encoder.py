"""SigLIP (Zhai et al., arXiv 2303.15343) as Google published it, in place of our own small encoder."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class PublishedSiglip(nn.Module):
    """What :class:`stylecli.models.siglip.Siglip` does for prompts and pictures, done by a network of ``transformers``.

    Args:
        model: a ``SiglipModel``. tokenizer: its ``SiglipTokenizer``.
    """

    def __init__(self, model: Any, tokenizer: Any):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        text = model.config.text_config
        self.side: int = model.config.vision_config.image_size  # at which pictures are seen
        self.tokens: int = text.max_position_embeddings
        self.width: int = text.projection_size or text.hidden_size

    def encode_text(self, prompts: list[str]) -> Tensor:
        """(B, width) float32, of unit length. Any text will do; what exceeds the network's 64 tokens is cut."""
        found = self.model.text_model(input_ids=self.tokenize(prompts).to(self.model.logit_scale.device))
        return F.normalize(found.pooler_output.float(), dim=1)

    def encode_image(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1, sRGB, any size -> (B, width), of unit length; differentiable."""
        found = self.model.vision_model(pixel_values=self.prepare(images))
        return F.normalize(found.pooler_output, dim=1)

    def tokenize(self, prompts: list[str]) -> Tensor:
        """(B, 64) numbers of tokens, padded to full length as in training."""
        # What UTF-8 cannot say (half of a surrogate pair, from a broken terminal) becomes a question mark; what looks
        # like a special token ("</s>") is read as the letters that it is.
        sayable = [prompt.encode("utf-8", "replace").decode() for prompt in prompts]
        rows = self.tokenizer(
            sayable,
            padding="max_length",
            truncation=True,
            max_length=self.tokens,
            split_special_tokens=True,
            return_tensors="pt",
        )
        return rows["input_ids"]

    def prepare(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 to (B, 3, 224, 224) in -1..1: resized to a square whatever the shape, as published."""
        if images.shape[2:] != (self.side, self.side):
            size = (self.side, self.side)
            images = F.interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)
        return images * 2 - 1
