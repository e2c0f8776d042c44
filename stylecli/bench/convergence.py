"""How fast do the paper's losses reach a prompt? Iterations of refinement until the directional loss is as low as the
plain directional loss makes it in 100 (StyleMamba, arXiv 2405.05027: the headline claim).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from stylecli.models.backbones.encoder import PublishedSiglip
from stylecli.models.siglip import Siglip
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.stylizer import Stylizer
from stylecli.training.data import centre_square, list_images, read_rgb, to_tensor
from stylecli.training.refine import Refinement, refine

PROMPTS = (
    "Vincent van Gogh style",
    "ukiyo-e painting",
    "line sketch",
    "mosaic tiles",
    "a stormy sea at night",
    "rusty old machine",
    "children's crayon drawing",
    "golden autumn light",
)
VARIANTS = {
    "plain": (False, False),
    "masked": (True, False),
    "second-order": (False, True),
    "both": (True, True),
}
_SIDE = 160
_COLOURS = ("#888888", "#1f77b4", "#d98200", "#c0392b")


@dataclass(frozen=True)
class Row:
    """Mean over prompts and photographs. ``reached``: share of the runs that reached the level at all; those that did
    not count with the full number of iterations."""

    losses: str
    iterations: float
    reached: float
    curve: tuple[float, ...]  # mean directional loss after 1, 2, ... iterations


def run(
    photographs: Path,
    photos: int = 3,
    iterations: int = 100,
    prompts: tuple[str, ...] = PROMPTS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """One row per variant of the losses. Raises UsageError, InputError or WeightsError."""
    stylizer = Stylizer.from_pretrained("stylemamba-s", dtype="fp32")
    painter, encoder = stylizer.network, stylizer.encoder
    assert isinstance(painter, TextPainter) and encoder is not None
    encoder = encoder.to(stylizer.device)
    images = [to_tensor(centre_square(read_rgb(p), _SIDE))[None] for p in list_images([photographs])[:photos]]
    curves: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    for prompt in prompts:
        with torch.no_grad():
            style = encoder.encode_text([prompt]).clone()
        for image in images:
            for name, (masked, second_order) in VARIANTS.items():
                how = Refinement(iterations=iterations, masked=masked, second_order=second_order)
                curves[name].append(_curve(painter, encoder, image.to(stylizer.device), style, how))
        progress(f"convergence: {prompt}")
    return [_row(name, curves[name], curves["plain"]) for name in VARIANTS]


def _curve(
    painter: TextPainter, encoder: Siglip | PublishedSiglip, image: Tensor, style: Tensor, how: Refinement
) -> list[float]:
    """Directional loss after every iteration."""
    seen: list[float] = []
    refine(painter, encoder, image, style, how, lambda iteration, loss: seen.append(loss))
    return seen


def _row(name: str, curves: list[list[float]], plain: list[list[float]]) -> Row:
    needed = []
    for curve, level in zip(curves, (p[-1] for p in plain), strict=True):
        needed.append(next((i for i, value in enumerate(curve, 1) if value <= level), None))
    limit = len(plain[0])
    mean = tuple(sum(values) / len(values) for values in zip(*curves, strict=True))
    return Row(
        name,
        sum(n or limit for n in needed) / len(needed),
        sum(n is not None for n in needed) / len(needed),
        mean,
    )


def draw(rows: list[Row], width: int = 720, height: int = 420) -> Image.Image:
    """The mean curves: directional loss against iterations."""
    image = Image.new("RGB", (width, height), "white")
    pen, left, top, right, bottom = ImageDraw.Draw(image), 60, 20, width - 20, height - 40
    values = [v for row in rows for v in row.curve]
    low, high, count = min(values), max(values), len(rows[0].curve)
    for k in range(5):
        level = low + (high - low) * k / 4
        y = bottom - (bottom - top) * k / 4
        pen.line([(left, y), (right, y)], fill="#dddddd")
        pen.text((8, y - 6), f"{level:.3f}", fill="black")
        x = left + (right - left) * k / 4
        pen.text((x - 8, bottom + 6), str(round(1 + (count - 1) * k / 4)), fill="black")
    pen.text((left, height - 18), "iterations; directional loss of the whole picture, mean", fill="black")
    for k, (row, colour) in enumerate(zip(rows, _COLOURS, strict=False)):
        points = [
            (
                left + (right - left) * i / max(1, count - 1),
                bottom - (bottom - top) * (v - low) / max(1e-9, high - low),
            )
            for i, v in enumerate(row.curve)
        ]
        pen.line(points, fill=colour, width=2)
        pen.text((right - 110, top + 16 * k), row.losses, fill=colour)
    return image
