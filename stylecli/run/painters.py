"""From styles to painters: load the network, encode every style once, bind the options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError, UsageError
from stylecli.paint.options import PaintOptions
from stylecli.run.style_specs import StyleSpec
from stylecli.run.style_text import Prompt

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.media.picture import PixelArray
    from stylecli.paint.style import Style
    from stylecli.paint.stylizer import Picture as Kind
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.stream import PaintFunction


_PLAIN = PaintOptions()


def resolve_painters(
    stylizer: Stylizer, specs: Iterable[StyleSpec], read: Callable[[Path], Picture], options: PaintOptions
) -> dict[str, PaintFunction]:
    """One painter for each style, under its name. ``read`` opens a style image.

    Raises UsageError for a style image that cannot be read (nothing can be done without it) and
    OutOfMemoryError.
    """
    painters: dict[str, PaintFunction] = {}
    for spec in specs:
        bound = [refined(one, options) for one in resolve_layers(stylizer, spec, read, options)]
        layers = [partial(paint, one, options) for one in bound]
        painters[spec.name] = LayeredPainter(layers) if spec.layers else layers[0]
    return painters


@dataclass(frozen=True)
class LayeredPainter:
    """Painters of one picture, each for a region of it (:class:`stylecli.paint.regions.Regions`)."""

    layers: Sequence[PaintFunction]

    def __call__(self, pixels: PixelArray) -> PixelArray:
        raise TypeError("its regions decide what of it is seen")


def resolve_layers(
    stylizer: Stylizer, spec: StyleSpec, read: Callable[[Path], Picture], options: PaintOptions
) -> list[Stylizer]:
    """Of each layer of ``spec``, or of itself. Raises as ``resolve_painters`` does."""
    specs = [below for _, below in spec.layers] or [spec]
    return [resolve(stylizer, one, read, options) for one in specs]


def refined(stylizer: Stylizer, options: PaintOptions) -> Stylizer:
    """With its network adapted to the style that it holds, where that was asked for."""
    return stylizer.refine(options.refine, options.seed) if options.refine else stylizer


def paint(stylizer: Stylizer, options: PaintOptions, pixels: Kind) -> Kind:
    """Any picture that ``stylizer`` takes, in the style that it holds and in this options; kind and size come back."""
    return stylizer(
        pixels,
        strength=options.strength,
        preserve_color=options.preserve_color,
        stroke_size=options.stroke_size,
        polish=options.polish,
        colour_only=options.colour_only,
        seed=options.seed,  # for every picture the same: a resumed run gives what one that went through gives
    )


def resolve(
    stylizer: Stylizer, spec: StyleSpec, read: Callable[[Path], Picture], options: PaintOptions = _PLAIN
) -> Stylizer:
    """``stylizer`` with the style of ``spec``, encoded, with its texture where that is wanted. Raises as
    ``resolve_painters`` does."""
    encoded: list[tuple[Style, float]] = []
    for part, share in spec.parts:
        if isinstance(part, Prompt):
            if part.take and not stylizer.vector_size:
                raise UsageError(
                    "--takes: this network knows one style of each phrase; --model stylerwkv-s knows several"
                )
            bound = stylizer.encode_prompt(part.text, options.seed + part.take)
        else:
            try:
                picture = read(part)
            except InputError as error:
                raise UsageError(f"style image {error}") from error
            from stylecli.media import visible

            bound = stylizer.encode_style(
                visible(picture.pixels, picture.alpha),
                texture=options.needs_texture,
                features=options.features if options.needs_texture else "",
            )
        if len(spec.parts) == 1:
            return bound
        assert bound.style is not None
        encoded.append((bound.style, share))
    from stylecli.paint.style import Style

    return stylizer.with_style(Style.blend(encoded))
