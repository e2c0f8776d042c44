"""The small tool box of the demo's drawings: noise, palettes, blending. Numpy and Pillow only.

Fields are float32 arrays of shape (size, size); colours are float32 in 0..1 with a last axis of 3.
Coordinates run from 0 to 1, x to the right and y downwards, so that a drawing looks alike at every size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]
Colour = tuple[float, float, float]


def coordinates(size: int) -> tuple[Field, Field]:
    """x and y of every pixel's centre, each (size, size)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.tile(axis, (size, 1)), np.tile(axis[:, None], (1, size))


def noise(
    size: int,
    rng: np.random.Generator,
    scale: float = 4.0,
    octaves: int = 5,
    gain: float = 0.5,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Field:
    """Fractal noise with mean 0 and standard deviation 1.

    ``scale`` is the number of lumps across the picture in the coarsest octave; each further octave has twice
    as many and ``gain`` times the height. ``stretch`` (x, y) makes lumps longer along an axis.
    """
    total = np.zeros((size, size), dtype=np.float32)
    height = 1.0
    for octave in range(octaves):
        lumps = scale * 2**octave
        columns = max(2, round(lumps / stretch[0]) + 1)
        rows = max(2, round(lumps / stretch[1]) + 1)
        grid = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        total += height * np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
        height *= gain
        if min(rows, columns) > size:
            break  # finer than a pixel: nothing left to see
    return _normalised(total)


def _normalised(field: Field) -> Field:
    """``field`` with mean 0 and standard deviation 1."""
    result: Field = (field - field.mean()) / (field.std() + np.float32(1e-6))
    return result


def crags(
    size: int, rng: np.random.Generator, scale: float, stretch: tuple[float, float] = (1.0, 1.0)
) -> Field:
    """Noise with sharp crests instead of round lumps, as weathered rock has; mean 0, deviation 1."""
    total = np.zeros((size, size), dtype=np.float32)
    for octave in range(5):
        layer = noise(size, rng, scale=scale * 2**octave, octaves=2, stretch=stretch)
        total -= np.abs(layer) * np.float32(0.55**octave)
    return _normalised(total)


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below ``low``, 1 above ``high`` (or the other way round), smooth between."""
    t: Field = np.clip((value - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


def palette(stops: Sequence[tuple[float, Colour]], at: Field) -> Field:
    """Colours along a gradient: ``stops`` are (position, colour) in rising order; the result adds an axis."""
    positions = [position for position, _ in stops]
    channels = [np.interp(at, positions, [colour[c] for _, colour in stops]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def lay(canvas: Field, colour: Field | Colour, cover: Field) -> Field:
    """``colour`` over ``canvas`` (H, W, 3) where ``cover`` (H, W), 0..1, says so."""
    weight = cover[..., None]
    result: Field = canvas * (1.0 - weight) + np.asarray(colour, dtype=np.float32) * weight
    return result.astype(np.float32)


def blur(field: Field, radius: float) -> Field:
    """A soft version of an (H, W) field: three box blurs of ``radius`` pixels, edges repeated."""
    reach = max(1, round(radius))
    for axis in (0, 1) * 3:
        padding = [(reach + 1, reach) if a == axis else (0, 0) for a in range(2)]
        sums = np.cumsum(np.pad(field, padding, mode="edge"), axis=axis, dtype=np.float64)
        window = 2 * reach + 1
        if axis == 0:
            field = ((sums[window:] - sums[:-window]) / window).astype(np.float32)
        else:
            field = ((sums[:, window:] - sums[:, :-window]) / window).astype(np.float32)
    return field


def sample(image: Field, x: Field, y: Field) -> Field:
    """Colours of ``image`` (H, W, 3) at coordinates ``x``, ``y`` in 0..1, nearest pixel, edges repeated."""
    height, width = image.shape[:2]
    columns = np.clip((x * width).astype(np.int64), 0, width - 1)
    rows = np.clip((y * height).astype(np.int64), 0, height - 1)
    picked: Field = image[rows, columns]
    return picked


def to_image(canvas: Field) -> Image.Image:
    """An 8-bit RGB picture of a canvas (H, W, 3)."""
    return Image.fromarray((np.clip(canvas, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8), "RGB")


def to_rgb8(colour: Sequence[float] | Field) -> tuple[int, int, int]:
    """A colour as Pillow's drawing functions take it."""
    r, g, b = (int(min(max(float(c), 0.0), 1.0) * 255.0 + 0.5) for c in colour)
    return r, g, b
