"""How fast do the paper's losses reach a prompt? Iterations of refinement until the directional loss is as low as the
plain directional loss makes it in 100 (StyleMamba, arXiv 2405.05027: the headline claim).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from stylecli.bench.plots import line_plot
from stylecli.bench.section import Progress, Section
from stylecli.models.backbones.encoder import PublishedSiglip
from stylecli.models.siglip import Siglip
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.paint.adapt import Refinement, refine
from stylecli.paint.stylizer import Stylizer
from stylecli.training.data import centre_square, list_images, read_rgb, to_tensor

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
    progress: Progress = lambda text: None,
) -> list[Row]:
    """One row per variant of the losses. Raises UsageError, InputError or WeightsError."""
    stylizer = Stylizer.from_pretrained("stylemamba-s", dtype="fp32")
    painter, encoder = stylizer.network, stylizer.encoder
    assert isinstance(painter, TextPainter) and encoder is not None
    encoder = encoder.to(stylizer.device)
    images = [to_tensor(centre_square(read_rgb(p), _SIDE))[None] for p in list_images([photographs])[:photos]]
    curves: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    for prompt in prompts:
        said = stylizer.encode_prompt(prompt).style
        assert said is not None
        style = said.vector.to(stylizer.device)
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


def section(rows: Sequence[Row], photographs: Path) -> Section:
    """The rows as a table, and their mean curves as a plot."""
    curves = {row.losses: list(enumerate(row.curve, 1)) for row in rows}
    plot = line_plot(curves, "iterations", "directional loss of the whole picture, mean", marks=False)
    return Section(
        "convergence",
        "Iterations until the directional loss is where the plain one gets",
        f"stylize bench convergence --photographs {photographs.name}",
        ("losses", "iterations", "reached", "last loss"),
        [(r.losses, f"{r.iterations:.1f}", f"{r.reached:.0%}", f"{r.curve[-1]:.3f}") for r in rows],
        [asdict(row) for row in rows],
        (("Directional loss while refining.", plot),),
    )
