"""From looks to painters: load the network, encode every style once, bind the options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError, UsageError
from stylecli.run.looks import Look, Prompt

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.run.stream import Painter
    from stylecli.stylizer import Picture as Kind
    from stylecli.stylizer import Style, Stylizer


@dataclass(frozen=True)
class Manner:
    """How to paint: ``strength`` 0..1, ``stroke_size`` above 0 with 1 as the usual size, ``seed`` 0 .. 2^31 - 1,
    ``refine`` iterations that adapt the network to each prompt first."""

    strength: float = 1.0
    preserve_color: bool = False
    stroke_size: float = 1.0
    seed: int = 0
    refine: int = 0


def bind_painters(
    stylizer: Stylizer, looks: Iterable[Look], read: Callable[[Path], Picture], manner: Manner
) -> dict[str, Painter]:
    """One painter for each look, under its name. ``read`` opens a style image.

    Raises UsageError for a style image that cannot be read (nothing can be done without it) and
    OutOfMemoryError.
    """
    painters: dict[str, Painter] = {}
    for look in looks:
        bound = bind(stylizer, look, read)
        if manner.refine:
            from stylecli.refining import refined

            bound = refined(bound, manner.refine, manner.seed)
        painters[look.name] = partial(paint, bound, manner)
    return painters


def paint(stylizer: Stylizer, manner: Manner, pixels: Kind) -> Kind:
    """Any picture that ``stylizer`` takes, in the style that it holds and in this manner; kind and size come back."""
    return stylizer(
        pixels,
        strength=manner.strength,
        preserve_color=manner.preserve_color,
        stroke_size=manner.stroke_size,
        seed=manner.seed,  # for every picture the same: a resumed run gives what one that went through gives
    )


def bind(stylizer: Stylizer, look: Look, read: Callable[[Path], Picture]) -> Stylizer:
    """``stylizer`` with the style of ``look``, encoded. Raises as ``bind_painters`` does."""
    encoded: list[tuple[Style, float]] = []
    for part, share in look.parts:
        if isinstance(part, Prompt):
            bound = stylizer.encode_prompt(part.text)
        else:
            try:
                picture = read(part)
            except InputError as error:
                raise UsageError(f"style image {error}") from error
            bound = stylizer.encode_style(picture.pixels)
        if len(look.parts) == 1:
            return bound
        assert bound.style is not None
        encoded.append((bound.style, share))
    from stylecli.stylizer import Style

    return stylizer.with_style(Style.blend(encoded))
