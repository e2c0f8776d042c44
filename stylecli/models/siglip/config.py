"""Size of a text-image encoder, and its vocabulary; stored as JSON in its weights file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stylecli.models.config import JsonConfig


@dataclass(frozen=True)
class SiglipConfig(JsonConfig):
    """All that is needed to build the encoder.

    Attributes:
        width: of the shared space (384, that of the sentence encoder that taught the text tower).
        vocabulary: the tokenizer's entries in the order of their numbers, separated by blanks; ``##`` marks one that
            continues a word.
        tokens: most tokens of a prompt; what is longer is cut.
        text_width, text_layers, text_heads: the text tower's transformer.
        image_widths: channels at strides 4, 8, 16 and 32. image_blocks: residual blocks per level.
        centres: points kept of where the training phrases lie.
        spellings: character n-grams kept of those phrases (see :mod:`stylecli.models.siglip.char_ngrams`).
        threshold: a prompt of a lower in-domain score than this is far from everything the encoder was trained on.
    """

    LIMITS: ClassVar = {"tokens": (1, 1024), "text_heads": (1, 64), "threshold": (-1, 1)}

    width: int = 384
    vocabulary: str = ""
    tokens: int = 64
    text_width: int = 192
    text_layers: int = 3
    text_heads: int = 6
    image_widths: tuple[int, ...] = (32, 64, 128, 160)
    image_blocks: tuple[int, ...] = (1, 2, 3, 2)
    centres: int = 256
    spellings: int = 0
    threshold: float = 0.0
