"""Photo-like scenes to stylize: a mountain lake, a lighthouse, and (in ``solids``) a still life."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from stylecli.samples.canvas import (
    Colour,
    Field,
    blur,
    coordinates,
    crags,
    lay,
    noise,
    palette,
    sample,
    smoothstep,
    to_image,
)
from stylecli.samples.solids import still_life

__all__ = ["lighthouse", "mountain_lake", "still_life"]


def _clouds(
    canvas: Field, size: int, rng: np.random.Generator, low: float, amount: float, lit: Colour
) -> Field:
    """Long clouds above the height ``low``, lit from one side and grey beneath."""
    _, y = coordinates(size)
    shape = noise(size, rng, scale=3, octaves=7, gain=0.52, stretch=(1.6, 0.75))
    cover = smoothstep(0.25, 1.5, shape + amount) * smoothstep(low, low - 0.22, y)
    # brighter where the cloud thins out upwards: the difference to the shape a little lower
    relief = shape - np.roll(shape, -max(1, size // 40), axis=0)
    light = np.clip(0.62 + 0.16 * relief, 0.0, 1.0)[..., None]
    shadow = np.array([0.52, 0.54, 0.62], dtype=np.float32)
    colour = shadow * (1.0 - light) + np.array(lit, dtype=np.float32) * light
    return lay(canvas, colour.astype(np.float32), 0.85 * cover)


def _ridge(size: int, rng: np.random.Generator, base: float, height: float, rough: float) -> Field:
    """Height of a mountain crest for every column, shape (1, size)."""
    line = np.zeros(size, dtype=np.float32)
    across = np.linspace(0.0, 1.0, size)
    for octave in range(7):
        points = int(rough * 2**octave) + 2
        value = np.interp(across, np.linspace(0.0, 1.0, points), rng.random(points))
        line += (value * 0.52**octave).astype(np.float32)
    crest: Field = base - height * (line - line.min()) / (np.ptp(line) + 1e-6)
    return crest[None, :].astype(np.float32)


def mountain_lake(size: int) -> Image.Image:
    """Evening light on misty mountain ranges, mirrored in a lake, with firs on the shore."""
    rng = np.random.default_rng(3)
    x, y = coordinates(size)
    shore = 0.60
    canvas = palette(
        [
            (0.00, (0.23, 0.38, 0.62)),
            (0.22, (0.48, 0.61, 0.76)),
            (0.40, (0.90, 0.76, 0.64)),
            (0.52, (0.99, 0.85, 0.60)),
            (0.60, (0.99, 0.88, 0.68)),
        ],
        y,
    )
    canvas = _clouds(canvas, size, rng, low=0.42, amount=0.1, lit=(1.0, 0.90, 0.78))
    sun_x, sun_y = 0.68, 0.335
    to_sun = np.hypot(x - sun_x, y - sun_y).astype(np.float32)
    canvas = canvas + 0.42 * np.exp(-to_sun / 0.11)[..., None] * np.array([1.0, 0.80, 0.48], dtype=np.float32)
    canvas = lay(canvas, (1.0, 0.97, 0.86), smoothstep(0.034, 0.029, to_sun))

    fog = np.array([0.95, 0.84, 0.73], dtype=np.float32)
    rock = crags(size, rng, scale=5.0)
    shift = max(1, size // 128)
    slope = np.clip(rock - np.roll(rock, (shift, -shift), axis=(0, 1)), -2.0, 2.0)  # lit from the sun's side
    layers = (
        (0.52, 0.25, 3.0, (0.47, 0.50, 0.62), 0.30),
        (0.55, 0.19, 3.0, (0.36, 0.42, 0.52), 0.22),
        (0.585, 0.15, 4.0, (0.22, 0.31, 0.36), 0.12),
        (0.61, 0.075, 5.0, (0.13, 0.23, 0.24), 0.06),
    )
    for base, height, rough, colour, haze in layers:
        crest = _ridge(size, rng, base, height, rough)
        cover = smoothstep(0.0, 0.004, y - crest)
        depth = np.clip((y - crest) / 0.20, 0.0, 1.0)
        lit = np.clip(1.0 + 0.42 * slope * (1.0 - haze), 0.4, 1.8)[..., None]
        body = np.array(colour, dtype=np.float32) * lit
        snow = smoothstep(0.44, 0.36, y + 0.022 * rock) * (haze > 0.2)
        body = lay(body.astype(np.float32), (0.98, 0.93, 0.90), 0.9 * snow * smoothstep(-0.7, 0.3, slope))
        body = lay(body, (0.52, 0.56, 0.70), 0.55 * snow * smoothstep(0.0, -0.8, slope))
        mist = np.clip(haze + 0.62 * depth**2 * (0.85 + 0.10 * rock), 0.0, 0.93)
        canvas = lay(canvas, lay(body, fog, mist.astype(np.float32)), cover)

    canvas = _mirror(canvas, size, rng, shore, sun_x)
    canvas = _firs(canvas, size, rng)
    grain = rng.standard_normal((size, size, 1)).astype(np.float32) * 0.012
    return to_image(canvas + grain)


def _mirror(canvas: Field, size: int, rng: np.random.Generator, shore: float, sun_x: float) -> Field:
    """Everything below ``shore`` replaced by water that mirrors what is above it."""
    x, y = coordinates(size)
    below = y - shore
    ripple = noise(size, rng, scale=24, octaves=4, gain=0.6, stretch=(3.0, 0.35))
    reach = 0.003 + 0.030 * np.clip(below, 0.0, 1.0)
    picked = sample(canvas, x + 0.20 * reach * ripple, shore - below * 1.25 - reach * ripple)
    water = picked * np.array([0.72, 0.80, 0.86], dtype=np.float32)
    near = np.clip(below / 0.4, 0.0, 1.0).astype(np.float32)
    water = lay(water, (0.06, 0.17, 0.24), 0.55 * near + 0.05 * ripple * near)
    path = np.exp(-(((x - sun_x) / (0.03 + 0.16 * below)) ** 2)).astype(np.float32)
    glint = path * smoothstep(0.3, 1.5, ripple) * smoothstep(0.0, 0.05, below)
    water = lay(water, (1.0, 0.91, 0.70), 0.85 * glint)
    water = lay(water, (0.97, 0.90, 0.80), 0.35 * np.exp(-np.abs(below) / 0.008))
    return lay(canvas, water, smoothstep(0.0, 0.002, below))


def _firs(canvas: Field, size: int, rng: np.random.Generator) -> Field:
    """A dark bank with fir trees in the foreground, drawn at twice the size for smooth edges."""
    scale = 2
    side = size * scale
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    across = np.linspace(-0.02, 1.02, 200)
    bank = 0.955 - 0.075 * np.exp(-((across / 0.22) ** 2)) - 0.045 * np.exp(-(((across - 1.0) / 0.15) ** 2))
    bank += 0.006 * rng.standard_normal(200)
    outline = [(float(a) * side, float(b) * side) for a, b in zip(across, bank, strict=True)]
    draw.polygon([(-5.0, side + 5.0), *outline, (side + 5.0, side + 5.0)], fill=255)
    trees = (
        (0.05, 0.93, 0.47),
        (0.125, 0.94, 0.36),
        (0.19, 0.955, 0.23),
        (0.92, 0.95, 0.25),
        (0.975, 0.945, 0.35),
    )
    for foot_x, foot_y, tall in trees:
        tiers = 26
        draw.line(
            [(foot_x * side, foot_y * side), (foot_x * side, (foot_y - tall) * side)],
            fill=255,
            width=scale * 2,
        )
        for tier in range(tiers):
            t = (tier + 0.3) / tiers
            top = foot_y - tall * (1.0 - t) - tall * 0.01
            for sense in (-1.0, 1.0):
                reach = tall * 0.20 * t**0.85 * rng.uniform(0.6, 1.1)
                drop = tall * (0.035 + 0.03 * t)
                tip = (foot_x + sense * reach, top + drop * 1.5)
                branch = [
                    (foot_x, top),
                    tip,
                    (foot_x + sense * reach * 0.5, top + drop * 1.3),
                    (foot_x, top + drop * 1.7),
                ]
                draw.polygon([(a * side, b * side) for a, b in branch], fill=255)
    cover = np.asarray(mask.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255.0
    texture = noise(size, rng, scale=50, octaves=3)
    _, y = coordinates(size)
    leaf = palette([(0.4, (0.10, 0.17, 0.15)), (1.0, (0.05, 0.10, 0.07))], y) * (
        1.0 + 0.28 * texture[..., None]
    )
    return lay(canvas, np.clip(leaf, 0.0, 1.0).astype(np.float32), cover)


def lighthouse(size: int) -> Image.Image:
    """A red and white lighthouse on a cliff above the sea, under a summer sky."""
    rng = np.random.default_rng(17)
    x, y = coordinates(size)
    horizon = 0.60
    canvas = palette([(0.0, (0.20, 0.44, 0.76)), (0.35, (0.48, 0.69, 0.88)), (0.60, (0.85, 0.91, 0.93))], y)
    canvas = _clouds(canvas, size, rng, low=0.60, amount=0.35, lit=(1.0, 0.99, 0.96))
    canvas = lay(canvas, _sea(size, rng, horizon), smoothstep(0.0, 0.002, y - horizon))

    # the cliff: grass on top, broken rock below
    edge = 0.62 + 0.022 * noise(size, rng, scale=6, octaves=5, gain=0.6)
    top = 0.66 + 0.10 * np.clip(x / 0.62, 0.0, 2.0) ** 3 + 0.006 * noise(size, rng, scale=14, octaves=4)
    side = edge + 0.22 * np.clip(y - 0.72, 0.0, 1.0)
    land = smoothstep(0.0, 0.004, y - top) * smoothstep(0.0, 0.004, side - x)
    strata = crags(size, rng, scale=6.0, stretch=(1.5, 0.8))
    shift = max(1, size // 140)
    relief = np.clip(np.roll(strata, (shift, shift), axis=(0, 1)) - strata, -2.2, 2.2)
    relief += 0.5 * smoothstep(0.5, 0.64, x) * 2.0 - 0.3  # the face towards the sea lies in shadow
    rock = palette(
        [(0.0, (0.18, 0.15, 0.14)), (0.5, (0.50, 0.42, 0.35)), (1.0, (0.84, 0.76, 0.64))],
        np.clip(0.52 - 0.26 * relief + 0.07 * strata, 0.0, 1.0),
    )
    turf = noise(size, rng, scale=26, octaves=5, gain=0.7, stretch=(1.0, 0.5))
    grass = palette(
        [(0.0, (0.16, 0.26, 0.10)), (0.5, (0.38, 0.50, 0.18)), (1.0, (0.70, 0.72, 0.34))],
        np.clip(0.5 + 0.17 * turf, 0.0, 1.0),
    )
    green = smoothstep(0.115, 0.075, y - top + 0.018 * strata + 0.20 * np.clip(x - 0.40, 0.0, 1.0))
    canvas = lay(canvas, lay(rock, grass, green), land)
    surf = smoothstep(0.045, 0.0, np.abs(x - side - 0.02 + 0.016 * turf)) * smoothstep(0.80, 0.90, y)
    canvas = lay(canvas, (0.95, 0.97, 0.97), 0.85 * surf * smoothstep(-0.5, 0.7, turf))
    canvas = _tower(canvas, size, rng)
    canvas = _gulls(canvas, size)
    grain = rng.standard_normal((size, size, 1)).astype(np.float32) * 0.010
    return to_image(canvas + grain)


def _sea(size: int, rng: np.random.Generator, horizon: float) -> Field:
    """Water that grows darker and rougher towards the viewer, with crests of foam."""
    x, y = coordinates(size)
    depth = np.clip((y - horizon) / (1.0 - horizon), 1e-3, 1.0)
    flat = noise(size, rng, scale=14, octaves=6, gain=0.6, stretch=(3.0, 0.5))
    # the same noise seen in perspective: rows crowd together towards the horizon
    seen = sample(np.repeat(flat[..., None], 3, axis=-1), x * 0.6 + 0.2, np.sqrt(depth) * 0.98)[..., 0]
    water = palette(
        [(0.0, (0.56, 0.74, 0.82)), (0.25, (0.20, 0.50, 0.66)), (1.0, (0.05, 0.26, 0.40))],
        depth.astype(np.float32),
    )
    water = water * (1.0 + 0.20 * seen * np.sqrt(depth))[..., None]
    foam = smoothstep(1.5, 2.1, seen) * smoothstep(0.08, 0.3, depth)
    return lay(water.astype(np.float32), (0.94, 0.97, 0.98), 0.8 * foam)


def _tower(canvas: Field, size: int, rng: np.random.Generator) -> Field:
    """The lighthouse itself: a tapering, round, banded tower with gallery, lamp room and cap."""
    x, y = coordinates(size)
    middle, foot, gallery = 0.335, 0.700, 0.245
    along = np.clip((y - gallery) / (foot - gallery), 0.0, 1.0)
    stains = noise(size, rng, scale=20, octaves=4, stretch=(0.4, 3.0))

    def turned(paint: Field | Colour, radius: Field | float, top: float, bottom: float) -> None:
        """A vertical solid of revolution: shaded from its lit left side to its dark right side."""
        nonlocal canvas
        across = np.clip((x - middle) / radius, -1.0, 1.0)
        light = np.clip(0.50 - 0.42 * across + 0.42 * np.sqrt(1.0 - across * across), 0.25, 1.12)
        cover = smoothstep(0.0, 0.003, radius - np.abs(x - middle)) * smoothstep(0.0, 0.003, y - top)
        cover = cover * smoothstep(0.0, 0.003, bottom - y)
        body = np.broadcast_to(np.asarray(paint, dtype=np.float32), canvas.shape) * light[..., None]
        canvas = lay(canvas, body.astype(np.float32), cover.astype(np.float32))

    shadow = np.exp(-(((x - middle - 0.09) / 0.12) ** 2) - ((y - foot + 0.004) / 0.018) ** 2)
    canvas = lay(canvas, (0.08, 0.13, 0.06), 0.65 * shadow.astype(np.float32))
    curved = along + 0.012 * np.sqrt(
        np.clip(1.0 - ((x - middle) / 0.07) ** 2, 0.0, 1.0)
    )  # bands bulge downwards
    red = smoothstep(0.48, 0.52, np.abs((curved * 2.5) % 1.0 - 0.5) * 2.0)
    white = np.full((*x.shape, 3), (0.97, 0.95, 0.91), dtype=np.float32)
    bands = lay(white, (0.80, 0.15, 0.13), red) * (1.0 + 0.035 * stains[..., None])
    turned(bands, 0.043 + 0.028 * along, gallery, foot)
    turned((0.24, 0.25, 0.27), 0.060, gallery - 0.006, gallery + 0.012)
    turned((0.78, 0.88, 0.92), 0.030, gallery - 0.068, gallery - 0.006)
    lamp = np.exp(-(((x - middle) / 0.020) ** 2) - ((y - gallery + 0.036) / 0.022) ** 2).astype(np.float32)
    canvas = lay(canvas, (1.0, 0.93, 0.62), lamp)
    for bar in (-0.028, -0.010, 0.010, 0.028):
        post = smoothstep(0.0028, 0.0012, np.abs(x - middle - bar)) * (np.abs(y - gallery + 0.036) < 0.034)
        canvas = lay(canvas, (0.20, 0.20, 0.22), post)
    roof = np.clip(y - (gallery - 0.122), 1e-4, None) * 0.72
    turned((0.72, 0.14, 0.12), roof, gallery - 0.122, gallery - 0.064)
    for wx, wy in ((0.330, 0.335), (0.335, 0.50), (0.328, 0.655)):
        tall = 0.030 if wy > 0.6 else 0.015
        hole = smoothstep(0.010, 0.008, np.abs(x - wx)) * smoothstep(tall, tall - 0.002, np.abs(y - wy))
        canvas = lay(canvas, (0.16, 0.17, 0.20), hole)
    haze = blur(lamp, size / 40)
    return (canvas + 0.35 * haze[..., None] * np.array([1.0, 0.9, 0.6], dtype=np.float32)).astype(np.float32)


def _gulls(canvas: Field, size: int) -> Field:
    """A few gulls: two bent strokes each."""
    scale = 4
    mask = Image.new("L", (size * scale, size * scale), 0)
    draw = ImageDraw.Draw(mask)
    for gx, gy, span in ((0.66, 0.30, 0.030), (0.74, 0.25, 0.022), (0.71, 0.37, 0.018), (0.85, 0.33, 0.026)):
        wing = [(-1.0, -0.25), (-0.5, -0.42), (0.0, 0.0), (0.45, -0.50), (1.0, -0.40)]
        points = [((gx + a * span) * size * scale, (gy + b * span) * size * scale) for a, b in wing]
        draw.line(points, fill=255, width=max(1, round(0.0035 * size * scale)), joint="curve")
    cover = np.asarray(mask.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255.0
    return lay(canvas, (0.16, 0.19, 0.24), cover)
