"""Styles that are ways of painting: the same valley in washes, wax, thick oil and old plaster."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from stylecli.samples import scene as of
from stylecli.samples.canvas import Field, blur, coordinates, lay, noise, smoothstep, to_image


def watercolour(size: int) -> Image.Image:
    """Thin washes that run into each other on rough paper, with darker rims where they dried."""
    rng = np.random.default_rng(101)
    tooth = noise(size, rng, scale=130, octaves=2, gain=0.8)
    paper = np.float32(0.975) + 0.012 * tooth
    canvas = np.stack([paper, paper * 0.99, paper * 0.955], -1)
    scene = of.valley(size, rng, wobble=1.6)
    runs, clouds = noise(size, rng, scale=6, octaves=4), noise(size, rng, scale=4, octaves=5)
    for label in (of.SKY, of.FAR, of.NEAR, of.FIELD, of.RIVER, of.ROOF, of.WALL, of.SUN, of.TRUNK, of.CROWN):
        colour = np.array(of.DAY[label], np.float32)
        for wash in range(2):
            soft = blur((scene.labels == label).astype(np.float32), size * (0.012 - 0.008 * wash))
            runs, clouds = np.rot90(runs), clouds.T[::-1] if wash else clouds[:, ::-1]  # each its own way
            run = 0.16 * runs + 0.05 * tooth
            cover = smoothstep(0.40, 0.58, soft + run * (soft > 0.02))
            rim = cover * smoothstep(0.30, 0.0, np.abs(blur(cover, size * 0.006) - 0.55))
            pigment = (0.28 + 0.30 * wash) * (1 + 0.35 * clouds) + 0.55 * rim
            pigment = np.clip(pigment * (1.15 - 0.5 * scene.light) * (1 + 0.10 * tooth), 0, 1.6) * cover
            canvas *= np.maximum(colour, 0.04) ** pigment[..., None]
    blooms = smoothstep(1.5, 2.3, noise(size, rng, scale=5, octaves=3))
    canvas = lay(canvas, (0.98, 0.97, 0.94), 0.30 * blooms)
    drops = Image.new("L", (size * 2, size * 2))
    for cx, cy, radius in rng.random((60, 3)):
        r = (0.002 + 0.006 * radius**3) * size * 2
        ImageDraw.Draw(drops).ellipse(
            (cx * 2 * size - r, cy * 2 * size - r, cx * 2 * size + r, cy * 2 * size + r), 255
        )
    spots = np.asarray(drops.resize((size, size), Image.Resampling.LANCZOS), np.float32) / 255
    canvas *= (1 - 0.28 * spots)[..., None]
    return to_image(canvas)


def crayon(size: int) -> Image.Image:
    """A child's wax crayons: strong strokes to and fro, the paper's grain white between them."""
    rng = np.random.default_rng(103)
    scene = of.valley(size, rng, wobble=2.2)
    x, y = coordinates(size)
    tooth = noise(size, rng, scale=110, octaves=3, gain=0.75)
    canvas = np.full((size, size, 3), (0.975, 0.965, 0.93), np.float32)
    wax = np.array(of.DAY, np.float32)
    wax = np.clip(wax.mean(1, keepdims=True) + (wax - wax.mean(1, keepdims=True)) * 1.9 - 0.05, 0.04, 0.97)
    for turn, pitch, share in ((0.55, 0.016, 1.0), (-0.35, 0.021, 0.55)):
        angle = scene.labels * 0.45 + turn
        drift = 0.010 * noise(size, rng, scale=5, octaves=3)
        across = -x * np.sin(angle) + y * np.cos(angle) + drift
        row = np.floor(across / pitch)
        inside = np.abs((across / pitch) % 1 - 0.5) * 2
        jitter = np.sin(row * 12.9898 + scene.labels * 4.1) * 43758.5453 % 1.0
        press = 0.85 + 0.5 * jitter - 0.75 * inside**2 - 0.18 * scene.light
        cover = smoothstep(-0.35, 0.45, press * 1.1 - 0.55 + 0.42 * tooth) * np.float32(share)
        shade = (0.86 + 0.26 * jitter)[..., None]
        canvas = lay(canvas, np.clip(wax[scene.labels] * shade, 0, 1), cover * (scene.labels != of.CLOUD))
    line = blur(of.edges(scene.labels, max(1, size // 170)).astype(np.float32), size / 400)
    canvas = lay(canvas, (0.16, 0.13, 0.22), smoothstep(0.25, 0.75, line + 0.22 * tooth) * np.float32(0.85))
    return to_image(canvas)


def impasto(size: int) -> Image.Image:
    """Oil laid on thickly with a stiff brush: ridges of bristles that catch the light."""
    rng = np.random.default_rng(107)
    scene = of.valley(size, rng)
    colours = scene.coloured(of.EVENING) * (0.55 + 0.65 * scene.light[..., None])
    colours += 0.05 * noise(size, rng, scale=6, octaves=3)[..., None] * np.array((1.0, 0.7, -0.6), np.float32)
    canvas: Field = (colours * 0.8).astype(np.float32)
    height = np.zeros((size, size), np.float32)
    count = 4200
    places = rng.random((count, 2))
    lengths = np.sort(rng.uniform(0.030, 0.085, count))[::-1]
    for (cx, cy), length in zip(places, lengths, strict=True):
        c, r = int(cx * size), int(cy * size)
        turn = float(scene.angle[r, c]) + 0.25 * rng.standard_normal()
        half, wide = length * size / 2, max(1.5, 0.30 * length * size / 2)
        reach = int(half) + 2
        top, left = max(0, r - reach), max(0, c - reach)
        bottom, right = min(size, r + reach + 1), min(size, c + reach + 1)
        v, u = np.mgrid[top - r : bottom - r, left - c : right - c].astype(np.float32)
        along, across = u * np.cos(turn) + v * np.sin(turn), -u * np.sin(turn) + v * np.cos(turn)
        across = across + 0.12 * wide * np.sin(along / half * 3 + cx * 40)
        bristles = rng.standard_normal(24).astype(np.float32)
        across = (across / wide).astype(np.float32)
        comb = np.interp(across, np.linspace(-1, 1, 24), bristles).astype(np.float32)
        cover = smoothstep(1.0, 0.8, np.abs(across)) * smoothstep(
            1.0, 0.75, np.abs(along) / half + 0.10 * comb
        )
        box = slice(top, bottom), slice(left, right)
        paint = colours[r, c] * (1 + 0.10 * rng.standard_normal()) + 0.05 * rng.standard_normal(3)
        streaked = np.clip(paint + 0.035 * comb[..., None], 0, 1).astype(np.float32)
        canvas[box] = lay(canvas[box], streaked, cover)
        ridge = 0.6 + 0.22 * comb + 0.5 * smoothstep(0.5, 1.0, np.abs(across))
        height[box] += (ridge + 0.25 * along / half - height[box]) * cover
    height = blur(height, size / 700)
    down, sideways = np.gradient(height)
    slope = (down + sideways).astype(np.float32)
    shine = np.clip(slope * np.float32(-0.55 * size / 512), -0.22, 0.30)
    return to_image(np.clip(canvas, 0, 1) + shine[..., None])


def fresco(size: int) -> Image.Image:
    """Earth pigments in old plaster: chalky, worn away in patches, crazed with fine cracks."""
    rng = np.random.default_rng(127)
    scene = of.valley(size, rng, wobble=0.9)
    lime = noise(size, rng, scale=7, octaves=6, gain=0.6)
    canvas = scene.coloured(of.EARTH) * (0.66 + 0.50 * scene.light[..., None])
    canvas *= 1 + 0.07 * lime[..., None]
    brush = noise(size, rng, scale=40, octaves=3, stretch=(5.0, 1.0))
    canvas += 0.025 * brush[..., None]
    line = smoothstep(
        0.3, 0.8, blur(of.edges(scene.labels, max(1, size // 220)).astype(np.float32), size / 300)
    )
    canvas = lay(canvas.astype(np.float32), (0.34, 0.22, 0.16), 0.55 * line)
    worn = smoothstep(0.55, 1.15, noise(size, rng, scale=4, octaves=6, gain=0.62) + 0.25 * lime)
    plaster = np.stack([0.86 + 0.03 * lime, 0.80 + 0.03 * lime, 0.69 + 0.03 * lime], -1)
    canvas = lay(canvas, plaster.astype(np.float32), 0.78 * worn)
    bare = smoothstep(1.45, 1.62, noise(size, rng, scale=3, octaves=6, gain=0.6))
    canvas = lay(canvas, (0.70, 0.55, 0.42), bare)
    canvas = lay(canvas, (0.30, 0.20, 0.14), 0.7 * smoothstep(0.25, 0.0, np.abs(bare - 0.5)))
    cracks = np.zeros((size, size), np.float32)
    for scale, width in ((3.0, 0.030), (9.0, 0.045)):
        level = noise(size, rng, scale=scale, octaves=5, gain=0.55)
        some = smoothstep(0.0, 0.6, noise(size, rng, scale=3, octaves=2))
        cracks = np.maximum(cracks, some * smoothstep(width, 0.0, np.abs(level)))
    canvas = lay(canvas, (0.26, 0.20, 0.16), 0.75 * cracks)
    return to_image(canvas * (0.97 + 0.02 * noise(size, rng, scale=150, octaves=1)[..., None]))
