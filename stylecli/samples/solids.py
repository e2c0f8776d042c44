"""The demo's still life: a vase, fruit and a table, found by marching rays through distance functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylecli.samples.canvas import Colour, Field, coordinates, noise, palette, smoothstep, to_image

Points = NDArray[np.float32]  # (N, 3): x right, y up, z towards the viewer

_EYE = np.array([0.0, 1.55, 5.6], dtype=np.float32)
_LIGHT = np.array([-0.62, 0.72, 0.42], dtype=np.float32)
_LIGHT /= np.float32(np.linalg.norm(_LIGHT))

# centre, radius, height relative to width, colour away from and towards the blush
_FRUIT: tuple[tuple[tuple[float, float, float], float, float, Colour, Colour], ...] = (
    ((-0.95, 0.42, 0.55), 0.46, 0.92, (0.52, 0.60, 0.16), (0.74, 0.11, 0.09)),
    ((-0.20, 0.38, 1.10), 0.40, 0.96, (0.93, 0.47, 0.07), (0.97, 0.58, 0.12)),
    ((1.15, 0.31, 0.95), 0.42, 0.74, (0.94, 0.78, 0.14), (0.95, 0.86, 0.32)),
    ((0.55, 0.24, 1.42), 0.25, 0.98, (0.32, 0.10, 0.26), (0.48, 0.17, 0.36)),
    ((0.98, 0.21, 1.66), 0.22, 0.98, (0.28, 0.09, 0.25), (0.44, 0.15, 0.36)),
)
_VASE, _TABLE = len(_FRUIT), len(_FRUIT) + 1


def _profile(height: Field) -> Field:
    """The vase's radius at a height above the table."""
    heights = [0.0, 0.10, 0.35, 0.75, 1.15, 1.50, 1.75, 1.95, 2.05]
    radii = [0.34, 0.38, 0.55, 0.70, 0.62, 0.36, 0.24, 0.27, 0.36]
    smooth = np.interp(height, heights, radii)
    for shift in (-0.12, -0.06, 0.06, 0.12):  # rounds the corners that straight pieces leave
        smooth = smooth + np.interp(height + shift, heights, radii)
    return (smooth / 5.0).astype(np.float32)


def _distances(p: Points) -> Field:
    """Distance from each point to each solid, (solids, N); a lower bound where it is not exact."""
    parts = []
    for (cx, cy, cz), radius, squash, _, _ in _FRUIT:
        dx, dy, dz = p[:, 0] - cx, (p[:, 1] - cy) / squash, p[:, 2] - cz
        parts.append((np.sqrt(dx * dx + dy * dy + dz * dz) - radius) * squash)
    x, z = p[:, 0] - 0.42, p[:, 2] - 0.10
    wall = (np.sqrt(x * x + z * z) - _profile(p[:, 1])) * 0.62
    parts.append(np.maximum(wall, p[:, 1] - 2.05))
    parts.append(p[:, 1])
    return np.stack(parts).astype(np.float32)


def _march(start: Points, direction: Points, reach: float, steps: int) -> tuple[Field, Field]:
    """Walk along rays; returns how far each came (``reach`` where nothing was met) and its narrowest pass."""
    travelled = np.full(len(start), 0.02, dtype=np.float32)
    narrow = np.ones(len(start), dtype=np.float32)
    alive = np.arange(len(start))
    for _ in range(steps):
        if alive.size == 0:
            break
        here = start[alive] + direction[alive] * travelled[alive, None]
        gap = _distances(here).min(axis=0)
        narrow[alive] = np.minimum(narrow[alive], 7.0 * gap / travelled[alive])
        travelled[alive] += np.maximum(gap, 0.004)
        alive = alive[(gap > 0.0015) & (travelled[alive] < reach)]
    return np.minimum(travelled, reach), np.clip(narrow, 0.0, 1.0)


def _normals(p: Points, solid: NDArray[np.int64]) -> Points:
    """Outward unit normals of the given solids by central differences."""
    rows = np.arange(len(p))
    normal = np.empty_like(p)
    for axis in range(3):
        step = np.zeros(3, dtype=np.float32)
        step[axis] = 0.004
        normal[:, axis] = _distances(p + step)[solid, rows] - _distances(p - step)[solid, rows]
    return _unit(normal)


def _unit(vectors: Points) -> Points:
    """The vectors (N, 3) with length 1."""
    result: Points = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
    return result.astype(np.float32)


def still_life(size: int) -> Image.Image:
    """Fruit and a glazed vase on a wooden table, in window light with soft shadows."""
    rng = np.random.default_rng(8)
    x, y = coordinates(size)
    across, down = x * 2.0 - 1.0, y * 2.0 - 1.0  # -1..1 over the picture
    rays = np.stack([across * 1.72, -down * 1.72 - 0.62, np.full_like(across, -5.0)], axis=-1).reshape(-1, 3)
    rays = _unit(rays)
    eye = np.broadcast_to(_EYE, rays.shape)
    distance, _ = _march(eye, rays, reach=9.5, steps=70)

    picture = _wall(across, down, size, rng).reshape(-1, 3)
    met = np.flatnonzero(distance < 9.4)
    p = (_EYE + rays[met] * distance[met, None]).astype(np.float32)
    met, p = met[p[:, 2] > -1.6], p[p[:, 2] > -1.6]  # the table ends before the wall
    solid = _distances(p).argmin(axis=0)
    normal = _normals(p, solid)
    texture = noise(size, rng, scale=30, octaves=5, gain=0.65).reshape(-1)[met]
    colour, gloss = _surface(p, solid, texture)

    toward = np.broadcast_to(_LIGHT, p.shape)
    _, lit = _march(p + normal * 0.012, toward, reach=5.0, steps=28)
    facing = np.clip(normal @ _LIGHT, 0.0, 1.0)
    occluded = np.ones(len(p), dtype=np.float32)
    for reach, weight in ((0.10, 0.9), (0.30, 0.5)):  # corners where little of the sky reaches
        gap = _distances(p + normal * reach).min(axis=0)
        occluded *= np.clip(1.0 - weight * (1.0 - gap / reach), 0.0, 1.0)
    sky = (0.55 + 0.45 * normal[:, 1]) * occluded
    warm = np.array([1.10, 1.0, 0.86], dtype=np.float32)
    cool = np.array([0.30, 0.34, 0.42], dtype=np.float32)
    light = warm * (facing * lit)[:, None] + cool * sky[:, None]
    bounced = occluded * (1.0 - normal[:, 1]) * 0.5  # warm light back from the table
    light = light + np.array([0.16, 0.10, 0.05], dtype=np.float32) * bounced[:, None]
    half = _unit(_LIGHT - rays[met])
    shine = np.clip((normal * half).sum(axis=1), 0.0, 1.0) ** 60 * gloss * lit
    picture[met] = colour * light + shine[:, None]
    vignette = 1.0 - 0.22 * (across**2 + down**2) / 2.0
    out = np.clip(picture.reshape(size, size, 3) * vignette[..., None], 0.0, 1.4)
    out = out / (1.0 + 0.18 * out) * 1.13  # highlights roll off as on film
    return to_image((out + rng.standard_normal((size, size, 1)) * 0.008).astype(np.float32))


def _wall(across: Field, down: Field, size: int, rng: np.random.Generator) -> Field:
    """A plastered wall, brighter where the window's light falls across it."""
    plaster = noise(size, rng, scale=5, octaves=7, gain=0.55)
    beam = smoothstep(-1.5, 0.3, across * 0.8 - down * 0.9) * smoothstep(1.9, 0.5, across * 0.9 - down)
    tone = 0.34 + 0.38 * beam + 0.025 * plaster - 0.10 * smoothstep(0.0, 0.5, down)
    return palette([(0.0, (0.10, 0.13, 0.15)), (0.5, (0.36, 0.44, 0.44)), (1.0, (0.80, 0.80, 0.70))], tone)


def _surface(p: Points, solid: NDArray[np.int64], texture: Field) -> tuple[Field, Field]:
    """Own colour (N, 3) and glossiness (N,) of every point that a ray met."""
    colour = np.zeros((len(p), 3), dtype=np.float32)
    gloss = np.full(len(p), 0.35, dtype=np.float32)
    for index, (centre, radius, _, plain, blush) in enumerate(_FRUIT):
        own = solid == index
        local = (p[own] - np.array(centre, dtype=np.float32)) / radius
        streaks = 0.25 * np.sin(np.arctan2(local[:, 2], local[:, 0]) * 17.0 + 1.5 * texture[own])
        share = smoothstep(
            -0.5, 0.7, local[:, 0] * 0.5 + local[:, 2] * 0.4 + 0.22 * texture[own] + streaks * 0.5
        )
        mixed = np.array(plain) * (1 - share[:, None]) + np.array(blush) * share[:, None]
        dimple = 1.0 - 0.6 * np.exp(-(local[:, 0] ** 2 + (local[:, 2]) ** 2) / 0.03) * (local[:, 1] > 0)
        colour[own] = mixed * (dimple * (1.0 + 0.06 * texture[own]))[:, None]
    vase = solid == _VASE
    height = p[vase, 1]
    glaze = palette(
        [
            (0.0, (0.06, 0.20, 0.30)),
            (0.8, (0.10, 0.38, 0.46)),
            (1.5, (0.30, 0.58, 0.58)),
            (2.0, (0.70, 0.72, 0.62)),
        ],
        height + 0.05 * texture[vase],
    )
    turn = np.arctan2(p[vase, 0] - 0.42, p[vase, 2] - 0.10)
    band = smoothstep(0.09, 0.07, np.abs(height - 0.98 - 0.07 * np.sin(turn * 10.0)))
    colour[vase] = glaze * (1 - band[:, None]) + np.array([0.92, 0.86, 0.70]) * band[:, None]
    gloss[vase] = 0.8
    table = solid == _TABLE
    x, z = p[table, 0], p[table, 2]
    rings = np.sin((z * 9.0 + 0.5 * np.sin(x * 1.3) + 0.25 * np.sin(x * 4.1 + z * 3.0)) * 4.0)
    boards = smoothstep(0.03, 0.012, np.abs((z / 0.72) % 1.0 - 0.5) * 0.72)
    tone = np.clip(0.52 + 0.12 * rings + 0.08 * texture[table] - 0.42 * boards, 0.0, 1.0)
    wood = [(0.0, (0.12, 0.06, 0.03)), (0.5, (0.50, 0.30, 0.16)), (1.0, (0.76, 0.54, 0.32))]
    colour[table] = palette([(a, (r, g, b)) for a, (r, g, b) in wood], tone)
    gloss[table] = 0.08
    return colour, gloss
