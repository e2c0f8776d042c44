"""Size of a StyleMamba network; stored as JSON in its weights file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stylecli.models.config import JsonConfig


@dataclass(frozen=True)
class StyleMambaConfig(JsonConfig):
    """All that is needed to build the network.

    Attributes:
        latent: channels of the auto-encoder's latent (stride 4).
        embedding: width of a prompt embedding.
        style: length of a style vector, which the network is conditioned on beside the prompt; 0: on the prompt alone.
        components, hidden: principal components of style vectors that count, and width of the layer behind them.
        code: width of the style code made from style and prompt, which modulates every block.
        widths: channels at strides 4, 8 and 16.
        blocks: conditional Mamba blocks at stride 8 on the way in, at stride 16, and at stride 8 on the way out.
        texture: styled residual convolutions at stride 8 and at stride 4, on the way out.
        experts: kernels that a style mixes its own from, in these and in all that follows at stride 4; 0: one for all
            styles (own decision, see :class:`stylecli.models.layers.StyledConv3x3`).
        state: N, states of the selective scan for each channel.
        rank: width of the projection that gives the step sizes.
        mix_ratio: hidden width of the channel mix, relative to the level's width.
        limit: bound of normalised values, in standard deviations.
        detail: channels of the photograph's outlines, at stride 4, that the way out may see.
    """

    LIMITS: ClassVar = {
        "components": (1, 4096),
        "hidden": (1, 4096),
        "state": (1, 256),
        "rank": (1, 256),
        "mix_ratio": (1, 16),
        "limit": (0.1, 1000),
    }

    latent: int = 12
    embedding: int = 384
    style: int = 0
    components: int = 256
    hidden: int = 512
    code: int = 192
    widths: tuple[int, int, int] = (64, 128, 224)
    blocks: tuple[int, int, int] = (1, 4, 2)
    texture: tuple[int, int] = (1, 1)
    experts: int = 0
    state: int = 8
    rank: int = 8
    mix_ratio: int = 2
    limit: float = 5.0
    detail: int = 8

    @property
    def stride(self) -> int:
        """Latent tokens per token of the deepest level; latents are padded to a multiple of it."""
        return 4
