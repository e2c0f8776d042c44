"""What the rest must know about a painting network: sizes, margins, memory, number formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from stylecli.models.backbones.encoder import PublishedSiglip
    from stylecli.models.siglip import Siglip


@dataclass(frozen=True)
class MemoryProfile:
    """Memory of a painting network, in bytes; measured with ``stylize bench scale`` on a CPU, and rounded up.

    Attributes:
        whole: for each pixel, when it paints a picture at once.
        held: for each pixel, in strips: what is held for the whole picture.
        strip: for each pixel of a strip.
        always: whatever the size.
    """

    whole: int = 180
    held: int = 64
    strip: int = 400
    always: int = 150 << 20


@dataclass(frozen=True)
class Descriptor:
    """One kind of painting network.

    Attributes:
        smallest: least height and width that the module takes.
        working_side: short side, in pixels, at which a photograph is painted by default. Strokes have a size in
            pixels; a picture painted at this size and then enlarged looks painted when it fills a screen.
        style_side: short side at which a style image is encoded, within what training showed of it.
        margin: pixels around a photograph that it is extended by, as in a mirror, while it is painted: at its border a
            network sees a world that ends, and paints a frame.
        memory: what painting takes of memory; None where the network cannot be computed in strips (attention over
            the whole picture). The halo that strips need follows from the network's layers; where displacements are
            learned, from their bound in its configuration.
        bf16_on_cpu: whether it paints in bfloat16 where a CPU computes in it and nobody asked for anything else. Not
            StyleRWKV: it is no faster so, and the coarse numbers show in flat pictures (30 dB from float32, others 45)
            and make films flicker half as much again.
    """

    smallest: int = 16
    working_side: int = 512
    style_side: int = 288
    margin: int = 16
    memory: MemoryProfile | None = field(default_factory=MemoryProfile)
    bf16_on_cpu: bool = False


@dataclass(frozen=True)
class Painter:
    """A network that paints: a module with ``paint(content, style, strength, seed)``, and ``encode_style(image)``
    where a style is an image; where it is a phrase, ``encoder`` understands it."""

    network: nn.Module
    descriptor: Descriptor
    encoder: Siglip | PublishedSiglip | None = None
