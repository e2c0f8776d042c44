"""Size of a feature network; stored as JSON in its weights file."""

from __future__ import annotations

from dataclasses import dataclass

from stylecli.models.config import JsonConfig


@dataclass(frozen=True)
class StyleFeaturesConfig(JsonConfig):
    """All that is needed to build the network.

    Attributes:
        trunk: channels at strides 1, 2, 4 and 8.
        trunk_blocks: residual blocks at strides 2, 4 and 8.
    """

    trunk: tuple[int, int, int, int] = (24, 48, 112, 192)
    trunk_blocks: tuple[int, int, int] = (1, 1, 2)

    @property
    def halo(self) -> int:
        """Pixels that a place of the maps sees on each side, a multiple of 8."""
        fine, coarse, deep = self.trunk_blocks
        return -(-(9 + 4 * fine + 8 * coarse + 16 * deep) // 8) * 8
