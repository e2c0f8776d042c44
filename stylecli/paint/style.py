"""An encoded style, which can be mixed with others, saved and loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylecli.errors import UsageError, WeightsError
from stylecli.models.texture import FeatureNetwork, Texture
from stylecli.paint.palette import Palette


@dataclass(frozen=True)
class Style:
    """An encoded style: what the painting network needs of it, and nothing of the picture itself.

    Attributes:
        vector: (1, S) float32 on the CPU. Of a style image, the channel means and log standard deviations of its
            features; of a prompt, its embedding.
        network: fingerprint of the weights that encoded it; to others it means nothing. None where that is not known.
        texture: what refining and polishing paint towards; of a style image, where it was asked for. Not saved.
        palette: colours of a style image. Not saved.
        features: what the texture is measured by.
        detail: how much of the photograph's detail is given back to what is painted in it, 0..1; of a style image 0.
    """

    vector: Tensor
    network: str | None = None
    texture: Texture | None = None
    palette: Palette | None = None
    features: FeatureNetwork | None = None
    detail: float = 0.0

    @staticmethod
    def blend(parts: Sequence[tuple[Style, float]]) -> Style:
        """Weighted mean of styles; weights are normalised to a sum of 1.

        Raises:
            UsageError: no styles, a negative weight, a sum of zero, or styles of different networks.
        """
        weights = [weight for _, weight in parts]
        if not parts or not max(weights) > 0 or not all(0 <= weight < math.inf for weight in weights):
            raise UsageError("a blend needs styles with finite weights of zero or more, not all zero")
        relative = [weight / max(weights) for weight in weights]  # huge ones have no sum
        networks = {style.network for style, _ in parts if style.network is not None}
        if len(networks) > 1 or len({style.vector.shape for style, _ in parts}) > 1:
            raise UsageError("styles of different networks cannot be blended")
        shares = [weight / sum(relative) for weight in relative]
        mixed = torch.stack([part[0].vector * share for part, share in zip(parts, shares, strict=True)]).sum(
            0
        )
        textures = [(part[0].texture, share) for part, share in zip(parts, shares, strict=True)]
        known = [(texture, share) for texture, share in textures if texture is not None]
        if len({tuple(unit.shape for unit in texture.units) for texture, _ in known}) > 1:
            raise UsageError("styles whose textures were measured by different networks cannot be blended")
        texture = Texture.blend(known) if len(known) == len(parts) else None
        palettes = [(one.palette, share) for (one, _), share in zip(parts, shares, strict=True)]
        colours = [(palette, share) for palette, share in palettes if palette is not None]
        palette = Palette.blend(colours) if len(colours) == len(parts) else None
        detail = sum(part[0].detail * share for part, share in zip(parts, shares, strict=True))
        return Style(mixed, next(iter(networks), None), texture, palette, parts[0][0].features, detail)

    def save(self, path: Path | str) -> None:
        """Write the style to a safetensors file of a few kilobytes."""
        from safetensors.torch import save_file

        said = {"kind": "style", "detail": str(self.detail)}
        if self.network is not None:
            said["network"] = self.network
        save_file({"statistics": self.vector}, path, metadata=said)

    @classmethod
    def load(cls, path: Path | str) -> Style:
        """Read what :meth:`save` wrote. Raises WeightsError where the file is something else."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                said = file.metadata() or {}
                detail = min(1.0, max(0.0, float(said.get("detail", 0))))
                return cls(file.get_tensor("statistics"), said.get("network"), detail=detail)
        except (OSError, SafetensorError, KeyError, ValueError):
            raise WeightsError(f"{path}: not a saved style") from None
