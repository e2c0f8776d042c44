"""Line plots, drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
_COLOURS = ("#c0392b", "#1f77b4", "#d98200", "#2e7d32", "#7b4ea3", "#777777")
_LEFT, _TOP, _RIGHT, _BOTTOM = 76, 44, 24, 58


def line_plot(
    curves: Mapping[str, Sequence[Point]],
    x_label: str,
    y_label: str,
    *,
    logarithmic: bool = False,
    marks: bool = True,
    size: tuple[int, int] = (860, 500),
) -> Image.Image:
    """Draw named curves of points (x, y) with axes and a legend.

    ``logarithmic`` is for both axes and needs positive numbers. ``marks`` puts a dot on every point. Raises
    ValueError when there is nothing to draw.
    """
    points = [point for curve in curves.values() for point in curve]
    if not points:
        raise ValueError("nothing to plot")
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    xs, x_ticks = _axis([x for x, _ in points], _LEFT, size[0] - _RIGHT, logarithmic)
    ys, y_ticks = _axis([y for _, y in points], size[1] - _BOTTOM, _TOP, logarithmic)
    for tick in x_ticks:
        pen.line([(xs(tick), _TOP), (xs(tick), size[1] - _BOTTOM)], fill="#e4e4e4")
        pen.text((xs(tick), size[1] - _BOTTOM + 8), f"{tick:g}", fill="black", font=font, anchor="mt")
    for tick in y_ticks:
        pen.line([(_LEFT, ys(tick)), (size[0] - _RIGHT, ys(tick))], fill="#e4e4e4")
        pen.text((_LEFT - 8, ys(tick)), f"{tick:g}", fill="black", font=font, anchor="rm")
    pen.text(((_LEFT + size[0]) // 2, size[1] - 12), x_label, fill="black", font=font, anchor="mb")
    pen.text((_LEFT, 14), y_label, fill="black", font=font, anchor="lt")
    x_legend = size[0] - _RIGHT
    for k, (name, curve) in enumerate(reversed(list(curves.items()))):
        colour = _COLOURS[(len(curves) - 1 - k) % len(_COLOURS)]
        pen.text((x_legend, 14), name, fill=colour, font=font, anchor="rt")
        x_legend -= round(font.getlength(name)) + 18
        drawn = [(xs(x), ys(y)) for x, y in curve]
        pen.line(drawn, fill=colour, width=3, joint="curve")
        for x, y in drawn if marks else ():
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
    return image


def _axis(
    values: Sequence[float], start: int, end: int, logarithmic: bool
) -> tuple[Callable[[float], float], list[float]]:
    """Where a value lies, in pixels between ``start`` and ``end``; and round values for the ticks."""
    low, high = min(values), max(values)
    if logarithmic:
        low, high = low / 1.2, high * 1.2
        ticks = [m * 10.0**e for e in range(-6, 10) for m in (1, 2, 5)]
        scale: Callable[[float], float] = math.log
    else:
        room = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
        low, high = low - room, high + room
        power = 10.0 ** math.floor(math.log10((high - low) / 4))
        step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) <= 7)
        first = math.ceil(low / step)
        ticks = [round(step * (first + i), 10) for i in range(9)]

        def scale(value: float) -> float:
            return value

    span = scale(high) - scale(low)
    inside = [tick for tick in ticks if low <= tick <= high]
    while len(inside) > 9:
        inside = inside[::2]

    def place(value: float) -> float:
        return start + (end - start) * (scale(value) - scale(low)) / span

    return place, inside
