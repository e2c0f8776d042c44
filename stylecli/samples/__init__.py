"""Sample photographs and styles that the package draws itself.

Nothing here is copied from a picture: every pixel comes from noise, geometry and a palette. The same
size gives the same pixels, so that a demo looks the same for everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from PIL import Image

from stylecli.samples import brushes, contents, crafts, patterns, strokes

Drawing = Callable[[int], Image.Image]

CONTENTS: Mapping[str, Drawing] = MappingProxyType(
    {
        "mountain-lake": contents.mountain_lake,
        "still-life": contents.still_life,
        "lighthouse": contents.lighthouse,
    }
)
"""Photo-like scenes: name -> function of the side length in pixels, giving a square RGB picture."""

STYLES: Mapping[str, Drawing] = MappingProxyType(
    {
        "swirling-night": strokes.swirling_night,
        "stained-glass": patterns.stained_glass,
        "ink-hatching": strokes.ink_hatching,
        "woodcut-waves": patterns.woodcut_waves,
        "warm-dots": strokes.warm_dots,
        "colour-blocks": patterns.colour_blocks,
    }
)
"""Styles to paint them in, in the same form."""

READY: Mapping[str, Drawing] = MappingProxyType(
    {
        "night-swirls": strokes.swirling_night,
        "woodblock": patterns.woodcut_waves,
        "ink-hatching": strokes.ink_hatching,
        "stained-glass": patterns.stained_glass,
        "pointillist": strokes.warm_dots,
        "colour-blocks": patterns.colour_blocks,
        "watercolour": brushes.watercolour,
        "crayon": brushes.crayon,
        "impasto": brushes.impasto,
        "halftone": crafts.halftone,
        "linocut": crafts.linocut,
        "fresco": brushes.fresco,
        "embroidery": crafts.embroidery,
        "mosaic": crafts.mosaic,
        "marbling": crafts.marbling,
        "neon": crafts.neon,
        "blueprint": crafts.blueprint,
    }
)
"""Styles by the names that ``--style @woodblock`` takes."""
