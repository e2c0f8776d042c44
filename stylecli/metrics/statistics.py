"""Statistics of feature maps (B, C, H, W): what style losses and style figures compare. Painting measures textures,
too, so they stand with the networks."""

from stylecli.models.texture import gram, instance_normalised, statistics

__all__ = ["gram", "instance_normalised", "statistics"]
