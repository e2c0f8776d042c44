"""Size of a StyleRWKV network; stored as JSON in its weights file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stylecli.models.config import JsonConfig


@dataclass(frozen=True)
class StyleRwkvConfig(JsonConfig):
    """All that is needed to build the network.

    Attributes:
        widths: channels at strides 4, 8, 16 and 32 (the four levels).
        content_blocks, style_blocks, decoder_blocks: ST-RWKV blocks per level of the three parts; where a level
            has none, its strided convolution is all.
        texture_convs: styled residual convolutions per level of the decoder (own decision, see the model).
        noise: whether the decoder gets noise to draw texture from where the photograph is flat (own decision).
        finest_skip: finest level (0 is stride 4) whose content features the decoder sees directly.
        stem: channels at stride 2, in the stem and in the head.
        rescans: q of Re-WKV, how many times the attention is applied (2 in the paper).
        skip: p of S-Scanning, the stride of the atrous scan (2 in the paper).
        content_skip: the same in the content encoder. 1, the plain raster (own decision): with 2, the four sub-grids of
            the scan showed in flat places of the painting as a grid of 16 pixels.
        shift_groups: channel groups of deform-shift, each with displacements of its own.
        max_offset: bound of a learned displacement, in tokens of its level (tiles need it as a halo).
        mix_ratio: hidden width of the channel mix, relative to the level's width.
        code: width of the global style code that modulates every AdaIN site.
        mapping: hidden width of what adds to the style code, from all numbers that describe a style; 0: nothing
            (own decision).
        experts: kernels that a style mixes its own from, in the convolutions of the way out; 0: one for all styles
            (own decision, see :class:`stylecli.models.layers.StyledConv3x3`).
        reader: channels at strides 2, 4 and 8 of the network that reads the style (own decision, see its file).
        reader_blocks: its residual blocks at strides 4 and 8.
        detail_injection: how much of the photograph's detail shines through the painting where the network is
            undecided, half of what it may choose; 0..0.5 (own decision). Edges that strokes lose come back at little
            cost.
        guidance: how far beyond its own description a style is painted, away from the mean style (own decision).
    """

    LIMITS: ClassVar = {
        "finest_skip": (0, 4),
        "rescans": (1, 16),
        "skip": (1, 16),
        "content_skip": (1, 16),
        "shift_groups": (1, 64),
        "max_offset": (0, 16),
        "mix_ratio": (1, 16),
        "detail_injection": (0, 0.5),
        "guidance": (-4, 4),
        "mapping": (0, 4096),
        "experts": (0, 16),
    }
    RENAMED: ClassVar = {"underdrawing": "detail_injection"}

    widths: tuple[int, int, int, int] = (48, 80, 128, 176)
    content_blocks: tuple[int, int, int, int] = (0, 1, 1, 1)
    style_blocks: tuple[int, int, int, int] = (0, 0, 1, 1)
    decoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    texture_convs: tuple[int, int, int, int] = (1, 2, 1, 0)
    noise: bool = True
    finest_skip: int = 1
    stem: int = 24
    rescans: int = 2
    skip: int = 2
    content_skip: int = 1
    shift_groups: int = 4
    max_offset: float = 2.0
    mix_ratio: int = 2
    code: int = 192
    mapping: int = 0
    experts: int = 0
    reader: tuple[int, int, int] = (32, 80, 192)
    reader_blocks: tuple[int, int] = (2, 3)
    detail_injection: float = 0.5
    guidance: float = 0.08

    @property
    def stride(self) -> int:
        """Pixels per token of the deepest level; images are padded to a multiple of it."""
        return 32
