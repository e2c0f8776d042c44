"""StyleMamba for an auto-encoder that it was never trained with: all that it knows, refinement teaches it."""

from __future__ import annotations

from torch import Tensor, nn

from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.model import StyleMamba


class ResidualStyleMamba(StyleMamba):
    """The latent plus what StyleMamba adds, which is nothing at first: it starts at the photograph.

    Own decision. The trained module's latent never reaches its output, for else it learns to recolour and nothing
    more; but in twenty iterations from nothing a module could not even learn to give the photograph back.
    """

    def __init__(self, config: StyleMambaConfig):
        super().__init__(config)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, latent: Tensor, code: Tensor, seed: int | None = 0) -> Tensor:
        """Latent (B, Z, h, w) and style code (B or 1, code) to the stylized latent (B, Z, h, w)."""
        return latent + super().forward(latent, code, seed)
