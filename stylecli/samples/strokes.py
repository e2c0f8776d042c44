"""Styles made of single marks: brush strokes, pen lines, dots."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from stylecli.samples.canvas import (
    Field,
    coordinates,
    lay,
    noise,
    palette,
    smoothstep,
    to_image,
    to_rgb8,
)

# centre x, centre y, radius, turning sense
_STARS = (
    (0.24, 0.20, 0.13, 1.0),
    (0.74, 0.15, 0.10, -1.0),
    (0.56, 0.44, 0.19, 1.0),
    (0.13, 0.58, 0.09, -1.0),
    (0.88, 0.48, 0.08, 1.0),
    (0.40, 0.70, 0.07, -1.0),
)


def _night_field(size: int, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Direction (two components) and brightness 0..1 of the swirling night."""
    x, y = coordinates(size)
    wander = noise(size, rng, scale=3, octaves=3)
    along_x = 0.9 + 0.0 * x
    along_y = 0.35 * np.sin(x * 9.0 + wander) + 0.15 * wander
    light = np.zeros_like(x)
    for cx, cy, radius, sense in _STARS:
        dx, dy = x - cx, y - cy
        distance = np.sqrt(dx * dx + dy * dy) + 1e-4
        pull = np.exp(-((distance / (1.5 * radius)) ** 2)) * 5.0
        along_x += -sense * dy / distance * pull
        along_y += sense * dx / distance * pull
        rings = 0.5 + 0.5 * np.cos(distance / radius * 8.0)
        core = np.exp(-((distance / (0.33 * radius)) ** 2))
        halo = np.exp(-((distance / radius) ** 2)) * (0.35 + 0.5 * rings)
        light = np.maximum(light, np.maximum(core, halo))
    return along_x.astype(np.float32), along_y.astype(np.float32), light.astype(np.float32)


def swirling_night(size: int) -> Image.Image:
    """Thick strokes that follow eddies of dark and light blue around yellow stars."""
    rng = np.random.default_rng(11)
    along_x, along_y, light = _night_field(size, rng)
    _, y = coordinates(size)
    lumps = noise(size, rng, scale=7, octaves=3)
    night = palette(
        [
            (0.00, (0.04, 0.07, 0.22)),
            (0.28, (0.10, 0.20, 0.48)),
            (0.45, (0.22, 0.42, 0.68)),
            (0.60, (0.52, 0.70, 0.78)),
            (0.76, (0.90, 0.84, 0.52)),
            (1.00, (0.99, 0.82, 0.22)),
        ],
        np.clip(0.16 + 0.15 * lumps + 0.78 * light + 0.10 * (0.5 - y), 0.0, 1.0),
    )
    # the dark ground at the foot of the picture, in greens and umber
    ridge = 0.84 + 0.05 * np.sin(coordinates(size)[0] * 7.0) + 0.015 * lumps
    ground = palette(
        [(0.0, (0.04, 0.09, 0.10)), (0.5, (0.10, 0.24, 0.22)), (1.0, (0.36, 0.46, 0.24))],
        np.clip(0.45 + 0.3 * lumps, 0.0, 1.0),
    )
    colours = lay(night, ground, smoothstep(0.0, 0.02, y - ridge))

    picture = to_image(colours * 0.75)
    draw = ImageDraw.Draw(picture)
    count = 15_000
    starts = rng.random((count, 2)) * 1.06 - 0.03
    # big strokes first, fine ones over them
    widths = np.sort(rng.uniform(0.0035, 0.0125, count))[::-1] * size
    steps = 9
    for (x0, y0), width in zip(starts, widths, strict=True):
        column, row = (int(min(max(v, 0.0), 0.9999) * size) for v in (x0, y0))
        shade = 1.0 + 0.17 * rng.standard_normal() + 0.05 * rng.standard_normal(3)
        points = []
        px, py = x0, y0
        for _ in range(steps):
            points.append((px * size, py * size))
            c, r = (int(min(max(v, 0.0), 0.9999) * size) for v in (px, py))
            dx, dy = float(along_x[r, c]), float(along_y[r, c])
            length = (dx * dx + dy * dy) ** 0.5 + 1e-6
            px += dx / length * 0.0062
            py += dy / length * 0.0062
        draw.line(
            points, fill=to_rgb8(colours[row, column] * shade), width=max(1, round(width)), joint="curve"
        )
    return picture


def ink_hatching(size: int) -> Image.Image:
    """Pen lines in up to four directions on warm paper, denser where it is darker."""
    rng = np.random.default_rng(23)
    x, y = coordinates(size)
    tone = _hatched_tone(size, rng)
    wobble = noise(size, rng, scale=5, octaves=3) * 0.0035
    grain = noise(size, rng, scale=90, octaves=2)
    ink = np.zeros_like(x)
    directions = ((0.70, 0.00, 0.011), (-0.72, 0.24, 0.012), (0.05, 0.46, 0.011), (1.45, 0.66, 0.010))
    for angle, start, pitch in directions:
        across = x * -np.sin(angle) + y * np.cos(angle) + wobble
        line = np.abs((across / pitch) % 1.0 - 0.5) * 2.0  # 0 on the line's middle, 1 between lines
        pressure = np.clip((tone - start) * 1.5, 0.0, 0.62) * (1.0 + 0.07 * grain)
        soft = 1.2 / (pitch * size)
        stroke = smoothstep(0.0, 1.0, (pressure - line) / soft + 0.5) * smoothstep(start, start + 0.05, tone)
        ink = np.maximum(ink, stroke)
    outline = _contours(tone, size)
    ink = np.clip(np.maximum(ink, outline), 0.0, 1.0)
    paper = np.array([0.945, 0.905, 0.825], dtype=np.float32) + 0.012 * grain[..., None]
    return to_image(lay(paper.astype(np.float32), (0.10, 0.085, 0.10), ink * (0.93 + 0.05 * grain)))


def _hatched_tone(size: int, rng: np.random.Generator) -> Field:
    """Darkness 0..1 of what the pen draws: rounded boulders under a light from the upper left."""
    x, y = coordinates(size)
    tone: Field = 0.10 + 0.12 * smoothstep(0.2, 1.0, y)
    boulders = [
        (0.80, 0.22, 0.26),
        (0.18, 0.30, 0.24),
        (0.50, 0.52, 0.27),
        (0.14, 0.78, 0.28),
        (0.86, 0.80, 0.30),
    ]
    for cx, cy, radius in boulders:
        radius *= float(rng.uniform(0.9, 1.1))
        dx, dy = (x - cx) / radius, (y - cy) / radius
        inside = 1.0 - dx * dx - dy * dy
        height = np.sqrt(np.clip(inside, 0.0, 1.0))
        lit = np.clip(-0.52 * dx - 0.52 * dy + 0.68 * height, 0.0, 1.0)
        shade = 0.95 * (1.0 - lit) ** 1.2
        shadow = np.exp(-(((dx - 0.5) / 1.0) ** 2) - ((dy - 0.6) / 0.8) ** 2)
        tone = np.maximum(tone, 0.62 * shadow)
        tone = np.where(inside > 0.0, shade, tone)
    return tone.astype(np.float32)  # every term lies in 0..1


def _contours(tone: Field, size: int) -> Field:
    """A firm pen line where the tone jumps."""
    step = max(1, size // 512)
    jump = np.abs(np.roll(tone, step, axis=0) - np.roll(tone, -step, axis=0))
    jump += np.abs(np.roll(tone, step, axis=1) - np.roll(tone, -step, axis=1))
    return smoothstep(0.10, 0.22, jump)


def warm_dots(size: int) -> Image.Image:
    """A sunlit evening shore in thousands of pure dots, warm lights against violet shadows."""
    rng = np.random.default_rng(37)
    x, y = coordinates(size)
    colours = palette(
        [
            (0.00, (0.36, 0.52, 0.78)),
            (0.18, (0.70, 0.66, 0.80)),
            (0.32, (0.98, 0.76, 0.52)),
            (0.42, (0.99, 0.87, 0.52)),
            (0.47, (0.97, 0.68, 0.36)),
            (0.54, (0.86, 0.56, 0.46)),
            (1.00, (0.30, 0.36, 0.62)),
        ],
        y + 0.02 * noise(size, rng, scale=4, octaves=3),
    )
    sun = (x - 0.66) ** 2 + (y - 0.36) ** 2
    colours = lay(colours, (1.0, 0.94, 0.66), smoothstep(0.012, 0.002, sun.astype(np.float32)))
    hills = 0.43 - 0.07 * np.sin(x * 5.0 + 0.6) - 0.012 * noise(size, rng, scale=6, octaves=3)
    far = smoothstep(0.0, 0.01, y - hills) * smoothstep(0.49, 0.48, y)
    colours = lay(colours, (0.56, 0.40, 0.62), far)
    glitter = smoothstep(0.10, 0.0, np.abs(x - 0.66) * (1.3 - y)) * smoothstep(0.47, 0.5, y)
    colours = lay(colours, (0.99, 0.80, 0.44), 0.75 * glitter)
    shore = 0.72 + 0.13 * np.sin(x * 3.4 + 2.4) + 0.01 * noise(size, rng, scale=8, octaves=2)
    meadow = palette(
        [(0.0, (0.50, 0.58, 0.22)), (1.0, (0.86, 0.62, 0.20))], np.clip(0.5 + 1.2 * (0.9 - y), 0, 1)
    )
    colours = lay(colours, meadow, smoothstep(0.0, 0.01, y - shore))
    for cx, cy, radius in ((0.16, 0.50, 0.17), (0.29, 0.58, 0.10)):
        dx, dy = (x - cx) / radius, (y - cy) / (1.15 * radius)
        crown = smoothstep(1.15, 0.85, dx * dx + dy * dy + 0.14 * noise(size, rng, scale=12, octaves=2))
        leaf = palette(
            [(0.0, (0.16, 0.24, 0.42)), (0.5, (0.26, 0.46, 0.30)), (1.0, (0.90, 0.72, 0.26))],
            np.clip(0.45 + 0.42 * (dx - dy), 0, 1),
        )
        trunk = (
            smoothstep(0.016, 0.011, np.abs(x - cx))
            * smoothstep(cy, cy + 0.02, y)
            * smoothstep(0.86, 0.84, y)
        )
        colours = lay(lay(colours, (0.34, 0.22, 0.38), trunk), leaf, crown)

    scale = 2  # drawn at twice the size and reduced, so that dots are round
    picture = Image.new("RGB", (size * scale, size * scale), (236, 226, 206))
    draw = ImageDraw.Draw(picture)
    count = 21_000
    centres = rng.random((count, 2))
    radii = np.sort(rng.uniform(0.0034, 0.0072, count))[::-1] * size * scale
    shift = rng.standard_normal((count, 3)) * (0.11, 0.09, 0.13)
    complement = rng.random(count) < 0.14
    for (cx, cy), radius, off, opposite in zip(centres, radii, shift, complement, strict=True):
        colour = colours[int(cy * size), int(cx * size)]
        mean = colour.mean()
        vivid = mean + (colour - mean) * (-0.7 if opposite else 1.5) + off
        px, py = cx * size * scale, cy * size * scale
        draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=to_rgb8(vivid))
    return picture.resize((size, size), Image.Resampling.LANCZOS)
