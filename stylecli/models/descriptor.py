"""What the rest must know about a kind of network: each describes itself in ``models/<network>/descriptor.py``.

Such a file is imported to tell kinds apart, so it imports its network within functions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

    from stylecli.models.backbones.encoder import PublishedSiglip
    from stylecli.models.siglip import Siglip
    from stylecli.models.texture import FeatureNetwork

Guide = Literal["picture", "phrase"]


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
class Painter:
    """A network that paints: a module with ``paint(content, style, strength, seed)``, and ``encode_style(image)``
    where a style is an image; where it is a phrase, ``encoder`` understands it. ``style_size``: of its styles.

    ``fingerprint`` stands for all its numbers.
    """

    network: nn.Module
    descriptor: Descriptor
    encoder: Siglip | PublishedSiglip | None = None
    fingerprint: str = ""


def _itself(network: nn.Module, files: Sequence[Path]) -> tuple[nn.Module, None]:
    return network, None


def _alone(file: Path, own: bool) -> Sequence[Path]:
    return (file,)


@dataclass(frozen=True)
class Descriptor:
    """One kind of network.

    Attributes:
        kind: as in weights files and ``weights.toml``.
        build: a module from its configuration (JSON text).
        settings: names in its configuration by which a file that does not say its kind is recognised.
        guided_by: what it paints like; None where it is a part of others and does not paint.
        files: all weights files that it is made of, from its own; ``own``: which the user named.
        assemble: the module that paints, and the encoder of phrases, from what ``build`` gave and those files.
        names: of networks that are not read from a file of this kind, but made by ``make(name, seed)``;
            ``made_of(name)`` are the names in ``weights.toml`` of what they are made of.
        smallest: least height and width that the module takes.
        working_side: short side, in pixels, at which a photograph is painted by default. Strokes have a size in
            pixels; a picture painted at this size and then enlarged looks painted when it fills a screen.
        style_side: short side at which a style image is encoded, within what training showed of it.
        margin: pixels around a photograph that it is extended by, as in a mirror, while it is painted: at its border a
            network sees a world that ends, and paints a frame.
        memory: what painting takes of memory; None where the network cannot be computed in strips (attention over
            the whole picture). The halo that strips need follows from the network's layers; where displacements are
            learned, from their bound in its configuration.
        bf16_on_cpu: whether it paints in bfloat16 where a CPU computes in it and nobody asked for anything else.
        features: from the module to what it has for measuring textures by, in refining and polishing.
    """

    kind: str
    build: Callable[[str], nn.Module]
    settings: frozenset[str] = frozenset()
    guided_by: Guide | None = None
    files: Callable[[Path, bool], Sequence[Path]] = _alone
    assemble: Callable[[nn.Module, Sequence[Path]], tuple[nn.Module, Siglip | PublishedSiglip | None]] = (
        _itself
    )
    names: tuple[str, ...] = ()
    make: Callable[[str, int], tuple[nn.Module, PublishedSiglip]] | None = None
    made_of: Callable[[str], Sequence[str]] = lambda name: ()
    smallest: int = 16
    working_side: int = 512
    style_side: int = 288
    margin: int = 16
    memory: MemoryProfile | None = field(default_factory=MemoryProfile)
    bf16_on_cpu: bool = False
    features: Callable[[nn.Module], FeatureNetwork] | None = None
