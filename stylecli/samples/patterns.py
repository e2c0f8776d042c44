"""Styles made of flat shapes with edges: glass, woodcut, painted blocks."""

from __future__ import annotations

import numpy as np
from PIL import Image

from stylecli.samples.canvas import (
    Colour,
    Field,
    blur,
    coordinates,
    lay,
    noise,
    palette,
    smoothstep,
    to_image,
)

_GLASS: tuple[Colour, ...] = (
    (0.72, 0.06, 0.10),
    (0.93, 0.30, 0.08),
    (0.98, 0.70, 0.12),
    (0.10, 0.42, 0.24),
    (0.05, 0.50, 0.55),
    (0.08, 0.18, 0.58),
    (0.34, 0.12, 0.52),
    (0.78, 0.82, 0.90),
)


def stained_glass(size: int) -> Image.Image:
    """A rose window: glowing cells in rings, held by dark lead."""
    rng = np.random.default_rng(5)
    x, y = coordinates(size)
    sites: list[tuple[float, float]] = [(0.5, 0.5)]
    tints: list[int] = [2]
    for ring, (radius, number) in enumerate(
        ((0.09, 8), (0.18, 12), (0.28, 16), (0.38, 24), (0.49, 28), (0.60, 28), (0.72, 20))
    ):
        for step in range(number):
            angle = (step + 0.5 * (ring % 2)) / number * 2 * np.pi + rng.normal(0, 0.03)
            reach = radius + rng.normal(0, 0.008)
            sites.append((0.5 + reach * np.cos(angle), 0.5 + reach * np.sin(angle)))
            tints.append(int((ring * 3 + (step % 2) * 2 + (rng.random() < 0.2)) % len(_GLASS)))
    wave_x = x + 0.004 * noise(size, rng, scale=8, octaves=2)
    wave_y = y + 0.004 * noise(size, rng, scale=8, octaves=2)
    first = np.full((size, size), 9.0, dtype=np.float32)
    second = first.copy()
    owner = np.zeros((size, size), dtype=np.int64)
    for index, (sx, sy) in enumerate(sites):
        distance = np.hypot(wave_x - np.float32(sx), wave_y - np.float32(sy))
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        first = np.where(nearer, distance, first)
        owner[nearer] = index
    tint = np.array([_GLASS[t] for t in tints], dtype=np.float32)
    tint *= rng.uniform(0.75, 1.2, (len(tints), 1)).astype(np.float32)
    glow = 1.25 - 6.0 * first + 0.10 * noise(size, rng, scale=20, octaves=4)
    seeds = 0.06 * smoothstep(1.6, 2.2, noise(size, rng, scale=60, octaves=2))
    glass = tint[owner] * glow[..., None] + seeds[..., None] + 0.10 * (1.0 - 2.0 * first[..., None])
    lead = smoothstep(0.011, 0.006, second - first)
    rim = smoothstep(0.010, 0.004, np.abs(np.hypot(x - 0.5, y - 0.5) - 0.44))
    lead = np.maximum(lead, rim)
    shine = 0.10 + 0.10 * blur(lead, size / 200) * (1.0 - y)
    return to_image(lay(glass.astype(np.float32), np.repeat(shine[..., None], 3, axis=-1), lead))


def woodcut_waves(size: int) -> Image.Image:
    """Rolling waves in flat indigo, pale blue and cream, printed from grained wood."""
    rng = np.random.default_rng(41)
    x, y = coordinates(size)
    fibre = noise(size, rng, scale=60, octaves=3, stretch=(14.0, 1.0))
    canvas = palette([(0.0, (0.93, 0.86, 0.70)), (0.6, (0.95, 0.90, 0.79))], y)
    canvas = lay(canvas, (0.36, 0.50, 0.62), 0.75 * smoothstep(0.16, 0.0, y))  # the printer's dark sky band
    sun = np.hypot(x - 0.72, y - 0.23).astype(np.float32)
    canvas = lay(canvas, (0.80, 0.26, 0.16), smoothstep(0.102, 0.098, sun))

    inks: tuple[Colour, ...] = (
        (0.64, 0.74, 0.76),
        (0.38, 0.55, 0.66),
        (0.20, 0.36, 0.54),
        (0.10, 0.20, 0.40),
    )
    foam: Colour = (0.96, 0.93, 0.84)
    line: Colour = (0.07, 0.12, 0.26)
    for row in range(9):
        depth = row / 8
        base = 0.36 + 0.078 * row
        height = 0.045 + 0.035 * depth
        length = 0.26 + 0.10 * depth
        phase = (x + 0.37 * row + 0.015 * np.sin(y * 21.0)) / length
        # a crest that leans over: the phase runs ahead where the wave is high
        lean = phase + 0.11 * np.sin(2 * np.pi * phase)
        crest = base - height * (np.abs(np.sin(np.pi * lean)) ** 0.8 - 0.5) * 2.0
        crest += 0.006 * noise(size, rng, scale=9, octaves=2)
        below = (y - crest).astype(np.float32)
        wave = smoothstep(-0.001, 0.001, below)
        canvas = lay(canvas, inks[min(3, row // 2 + (row % 2))], wave)
        # lines carved along the wave, thinning out downwards
        carved = np.abs((below / 0.022) % 1.0 - 0.5) * 2.0
        grooves = smoothstep(0.62, 0.78, carved) * smoothstep(0.13, 0.03, below) * wave
        canvas = lay(canvas, inks[max(0, min(3, row // 2) - 1)], 0.9 * grooves)
        fingers = 0.012 + 0.010 * np.sin(2 * np.pi * phase * 11.0) ** 2
        spray = wave * smoothstep(0.002, -0.002, below - fingers.astype(np.float32))
        canvas = lay(canvas, foam, spray)
        edge = smoothstep(0.0045, 0.0025, np.abs(below))
        inner = 0.8 * smoothstep(0.0035, 0.0015, np.abs(below - fingers.astype(np.float32)))
        canvas = lay(canvas, line, np.maximum(edge, inner))
    worn = smoothstep(1.4, 2.4, fibre + 0.4 * noise(size, rng, scale=30, octaves=2))
    canvas = lay(canvas, (0.94, 0.89, 0.76), 0.45 * worn)
    return to_image(canvas + 0.018 * fibre[..., None])


_PAINT: tuple[Colour, ...] = (
    (0.84, 0.16, 0.12),
    (0.96, 0.76, 0.14),
    (0.12, 0.28, 0.62),
    (0.93, 0.90, 0.82),
    (0.94, 0.48, 0.14),
    (0.10, 0.50, 0.48),
    (0.15, 0.14, 0.17),
    (0.86, 0.60, 0.62),
)


def colour_blocks(size: int) -> Image.Image:
    """Overlapping discs and slanted blocks in strong colours, parted by black brush lines."""
    rng = np.random.default_rng(29)
    x, y = coordinates(size)
    hand = 0.0022 * noise(size, rng, scale=10, octaves=2)  # lines as a hand draws them
    code = np.zeros((size, size), dtype=np.int64)
    lines = np.zeros((size, size), dtype=np.float32)
    thickness = 0.0042

    def cut(side: Field, factor: int) -> None:
        nonlocal code, lines
        code = code * 2 + factor * (side > 0)
        lines = np.maximum(lines, smoothstep(thickness + 0.002, thickness - 0.001, np.abs(side)))

    for angle, offset in (
        (0.12, 0.30),
        (1.45, 0.36),
        (0.10, 0.66),
        (1.62, 0.70),
        (0.86, 0.98),
        (-0.62, 0.08),
    ):
        side = y * np.cos(angle) + x * np.sin(angle) - offset + hand
        cut(side.astype(np.float32), 1)
    for cx, cy, radius in (
        (0.34, 0.36, 0.25),
        (0.34, 0.36, 0.16),
        (0.34, 0.36, 0.075),
        (0.72, 0.68, 0.23),
        (0.72, 0.68, 0.12),
        (0.80, 0.20, 0.11),
        (0.18, 0.82, 0.13),
    ):
        cut((np.hypot(x - cx, y - cy) - radius + hand).astype(np.float32), 1)
    # a fixed scramble of the region's code picks its colour
    tint = np.array(_PAINT, dtype=np.float32)[(code * 2_654_435_761 % 4_294_967_296) >> 29]
    brush = noise(size, rng, scale=34, octaves=3, stretch=(1.0, 6.0))
    other = noise(size, rng, scale=34, octaves=3, stretch=(6.0, 1.0))
    strokes = np.where(code % 3 == 0, brush, other)
    canvas = tint * (1.0 + 0.085 * strokes[..., None]) + 0.02 * strokes[..., None]
    canvas = lay(canvas.astype(np.float32), (0.06, 0.055, 0.065), lines * (0.94 + 0.04 * brush))
    return to_image(canvas)
