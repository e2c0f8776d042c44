"""From looks to painters: load the network, encode every style once, bind the options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError, UsageError
from stylecli.run.looks import Look

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.run.stream import Painter
    from stylecli.stylizer import Stylizer


@dataclass(frozen=True)
class Manner:
    """How to paint: ``strength`` 0..1, ``stroke_size`` above 0 with 1 as the usual size."""

    strength: float = 1.0
    preserve_color: bool = False
    stroke_size: float = 1.0
    seed: int = 0


def bind_painters(
    stylizer: Stylizer, looks: Iterable[Look], read: Callable[[Path], Picture], manner: Manner
) -> dict[str, Painter]:
    """One painter for each look, under its name. ``read`` opens a style image.

    Raises UsageError for a style image that cannot be read (nothing can be done without it) and
    OutOfMemoryError.
    """
    return {
        look.name: partial(
            _bind(stylizer, look, read),
            strength=manner.strength,
            preserve_color=manner.preserve_color,
            stroke_size=manner.stroke_size,
            seed=manner.seed,
        )
        for look in looks
    }


def _bind(stylizer: Stylizer, look: Look, read: Callable[[Path], Picture]) -> Stylizer:
    bound = []
    for path, _ in look.parts:
        try:
            picture = read(path)
        except InputError as error:
            raise UsageError(f"style image: {error}") from error
        bound.append(stylizer.encode_style(picture.pixels))
    if len(bound) == 1:
        return bound[0]
    from stylecli.stylizer import Style

    shares = [share for _, share in look.parts]
    return stylizer.with_style(
        Style.blend([(one.style, share) for one, share in zip(bound, shares, strict=True)])
    )
