"""A view of a valley as flat shapes: what the styles of :mod:`brushes` and :mod:`crafts` are drawn of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylecli.samples.canvas import Colour, Field, coordinates, noise

SKY, SUN, CLOUD, FAR, NEAR, FIELD, RIVER, CROWN, TRUNK, WALL, ROOF = range(11)

DAY: tuple[Colour, ...] = (
    (0.56, 0.74, 0.90),
    (0.98, 0.82, 0.34),
    (0.97, 0.96, 0.94),
    (0.47, 0.53, 0.74),
    (0.36, 0.56, 0.46),
    (0.70, 0.74, 0.32),
    (0.30, 0.58, 0.78),
    (0.22, 0.44, 0.24),
    (0.40, 0.27, 0.18),
    (0.95, 0.90, 0.80),
    (0.78, 0.30, 0.22),
)
EVENING: tuple[Colour, ...] = (
    (0.95, 0.55, 0.34),
    (1.00, 0.90, 0.52),
    (0.98, 0.76, 0.62),
    (0.44, 0.32, 0.62),
    (0.24, 0.30, 0.52),
    (0.86, 0.50, 0.16),
    (0.98, 0.74, 0.42),
    (0.12, 0.34, 0.34),
    (0.22, 0.14, 0.20),
    (0.96, 0.84, 0.62),
    (0.66, 0.14, 0.18),
)
EARTH: tuple[Colour, ...] = (
    (0.58, 0.66, 0.66),
    (0.84, 0.66, 0.34),
    (0.88, 0.84, 0.74),
    (0.60, 0.54, 0.46),
    (0.46, 0.50, 0.36),
    (0.74, 0.56, 0.34),
    (0.44, 0.54, 0.56),
    (0.34, 0.40, 0.26),
    (0.36, 0.24, 0.18),
    (0.86, 0.78, 0.62),
    (0.62, 0.30, 0.20),
)

_TREES = ((0.14, 0.60, 0.13), (0.27, 0.66, 0.085), (0.90, 0.56, 0.11))
_CLOUDS = ((0.20, 0.14, 0.13), (0.33, 0.17, 0.09), (0.86, 0.26, 0.12), (0.55, 0.08, 0.08))


@dataclass(frozen=True)
class Scene:
    """``labels`` (H, W): which shape is seen where; ``light`` 0..1 from the upper left; ``angle`` in radians, in which
    a hand would follow the shape; ``away``: how far from its middle a place in a round shape is, else 0."""

    labels: NDArray[np.int64]
    light: Field
    angle: Field
    away: Field

    def coloured(self, colours: Sequence[Colour]) -> Field:
        """(H, W, 3) with one colour for each shape."""
        return np.asarray(colours, np.float32)[self.labels]


def valley(size: int, rng: np.random.Generator, wobble: float = 1.0) -> Scene:
    """``wobble``: how unsteady the outlines are."""
    x, y = coordinates(size)
    hand = wobble * np.float32(0.006) * noise(size, rng, scale=9, octaves=3)
    y = y + hand
    x = x + hand[::-1]
    labels = np.full((size, size), SKY, np.int64)
    light = 0.45 + 0.4 * y
    angle = 0.25 * np.sin(6 * x + 3 * y)
    away = np.zeros_like(x)

    def put(where: NDArray[np.bool_], label: int, lit: NDArray[Any], along: NDArray[Any] | float) -> None:
        labels[where] = label
        light[where] = lit[where]
        angle[where] = np.broadcast_to(along, x.shape)[where]
        away[where] = 0

    def ball(cx: float, cy: float, radius: float, label: int, squash: float = 1.0) -> None:
        dx, dy = (x - cx) / radius, (y - cy) / (radius * squash)
        inside = dx * dx + dy * dy < 1
        put(inside, label, 0.5 - 0.32 * (dx + dy), np.arctan2(dy, dx) + np.pi / 2)
        away[inside] = (radius * np.hypot(dx, dy))[inside]

    ball(0.68, 0.24, 0.10, SUN)
    for cx, cy, radius in _CLOUDS:
        ball(cx, cy, radius, CLOUD, 0.42)
    far = 0.42 - 0.10 * np.abs(np.sin(4.1 * x + 0.5)) - 0.02 * np.sin(17 * x)
    put(y > far, FAR, 0.75 - 2.0 * (y - far), 0.9 * np.sign(np.sin(8.2 * x + 1.0)))
    near = 0.52 - 0.07 * np.sin(5 * x + 2.2)
    put(y > near, NEAR, 0.8 - 1.6 * (y - near), 0.35 * np.cos(5 * x + 2.2))
    field = 0.66 + 0.05 * np.sin(3.4 * x + 0.6)
    put(y > field, FIELD, 0.85 - 1.2 * (y - field), 0.17 * np.cos(3.4 * x + 0.6))
    middle = 0.58 + 0.16 * np.sin(9.0 * (y - 0.52)) * (1.2 - y)
    river = np.abs(x - middle) < 0.02 + 0.30 * np.maximum(y - 0.56, 0) ** 1.2
    put(river & (y > field), RIVER, 0.5 + 0.4 * np.sin(40 * y), 0.0)
    put((np.abs(x - 0.76) < 0.075) & (y > 0.60) & (y < 0.72), WALL, 0.9 - 3 * (x - 0.70), np.pi / 2)
    put(
        (np.abs(x - 0.76) < 0.105 - 1.3 * (0.61 - y)) & (y > 0.53) & (y < 0.61),
        ROOF,
        0.75 - 2 * (x - 0.70),
        1.0,
    )
    for cx, cy, radius in _TREES:
        put(
            (np.abs(x - cx) < 0.16 * radius) & (y > cy) & (y < cy + 2.1 * radius),
            TRUNK,
            0.6 - 8 * (x - cx),
            np.pi / 2,
        )
        ball(cx, cy, radius, CROWN, 1.15)
    return Scene(labels, np.clip(light, 0, 1).astype(np.float32), angle.astype(np.float32), away)


def edges(labels: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """Places within about ``width`` pixels of another shape."""
    found = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        for axis in (0, 1):
            differs = labels != np.roll(labels, step, axis)
            rim = [slice(None)] * 2
            rim[axis] = slice(0, step)
            differs[tuple(rim)] = False
            found |= differs
    return found
