"""How well the tool paints like a style image: how much of the style arrives, and how much of the photograph is kept.

Figures from VGG-16 features of pictures cut to squares of 256 pixels:

- *style ratio*: distance of channel means and standard deviations (relu1_2, 2_2, 3_3, 4_3, standardised over the set)
  from painting to style, divided by that from photograph to style. 1: nothing done, 0: the style's own statistics.
- *retrieval*: share of paintings whose nearest style, by that distance, is the one that they were painted with.
- *content cosine*: of instance-normalised relu3_3 and relu4_3 maps, painting to photograph. 1: untouched.
- *SSIM* of luma, painting to photograph.
- *lattice*: share of the fine detail that repeats every 4 pixels, of the painting at its own size (shrinking hides it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stylecli.bench import baselines
from stylecli.bench.peers import find_peer
from stylecli.bench.plots import line_plot
from stylecli.bench.section import Progress, Section
from stylecli.metrics.lattice import lattice
from stylecli.metrics.ssim import structural_similarity
from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.montage import grid
from stylecli.paint.stylizer import Stylizer
from stylecli.training.data import centre_square, list_images, read_rgb, to_tensor

STRENGTHS = (1.0, 0.85, 0.7, 0.5)
_STYLE, _CONTENT = ("1_2", "2_2", "3_3", "4_3"), ("3_3", "4_3")
_SIDE = 256
_SLOW_PAIRS = 6  # photographs, and styles, that the baselines paint
_SHEET = 5

PaintPair = Callable[[int, int], Image.Image]  # number of the photograph and of the style to the painting


@dataclass(frozen=True)
class Score:
    """Means over all pairs; ``error`` is the standard error of ``style_ratio`` and ``content_cosine`` over styles."""

    what: str
    pairs: int
    style_ratio: float
    retrieval: float
    content_cosine: float
    ssim: float
    error: tuple[float, float]
    lattice: float | None = None


class Yardstick:
    """Scores paintings of some photographs in some styles.

    Args:
        contents, styles: (N, 3, 256, 256) and (M, 3, 256, 256) in 0..1.
    """

    @torch.inference_mode()
    def __init__(self, vgg: Vgg16, contents: Tensor, styles: Tensor):
        self.vgg, self.contents = vgg, contents
        self.content_style, self.content_maps = self._seen(contents)
        self.style, _ = self._seen(styles)
        every = torch.cat([self.style, self.content_style])
        self.mean, self.std = every.mean(0), every.std(0) + 1e-4

    @torch.inference_mode()
    def score(self, what: str, painter: Callable[[int, int], Tensor]) -> Score:
        """Score ``painter(photograph, style)``, each painting a (3, 256, 256) in 0..1."""
        N, M = len(self.contents), len(self.style)
        before = torch.cdist(self._scaled(self.content_style), self._scaled(self.style))  # (N, M)
        after, hits, kept, alike = (torch.zeros(N, M) for _ in range(4))
        for i in range(N):
            paintings = torch.stack([painter(i, j) for j in range(M)])
            seen, maps = self._seen(paintings)
            distances = torch.cdist(self._scaled(seen), self._scaled(self.style))  # (M, M)
            after[i] = distances.diag()
            hits[i] = (distances.argmin(1) == torch.arange(M)).float()
            cosines = [
                F.cosine_similarity(painted.flatten(1), of_all[i : i + 1].flatten(1))
                for painted, of_all in zip(maps, self.content_maps, strict=True)
            ]
            kept[i] = torch.stack(cosines).mean(0)
            alike[i] = structural_similarity(paintings, self.contents[i : i + 1].expand_as(paintings))
        # Styles are what differs most, so the error is that of a mean over styles.
        errors = (
            float(per_style.std() / M**0.5) if M > 1 else 0.0
            for per_style in (after.mean(0) / before.mean(), kept.mean(0))
        )
        return Score(
            what,
            N * M,
            float(after.mean() / before.mean()),
            float(hits.mean()),
            float(kept.mean()),
            float(alike.mean()),
            (next(errors), next(errors)),
        )

    def _seen(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        parts = [self.vgg(part, (*_STYLE, *_CONTENT)) for part in images.split(4)]
        described = torch.cat([torch.cat([statistics(p[n]) for n in _STYLE], 1) for p in parts])
        return described, [torch.cat([instance_normalised(p[n]) for p in parts]) for n in _CONTENT]

    def _scaled(self, described: Tensor) -> Tensor:
        return (described - self.mean) / self.std


def run(
    photographs: Path,
    styles: Path,
    vgg_file: Path,
    most: int = 20,
    size: int = 512,
    slow: bool = False,
    progress: Progress = lambda text: None,
) -> list[Section]:
    """Paint every pair of up to ``most`` photographs and ``most`` styles, photographs cut to squares of ``size``.

    ``slow`` adds the baselines, on fewer pairs. Raises InputError, UsageError or WeightsError.
    """
    vgg = Vgg16(vgg_file)
    contents = [centre_square(read_rgb(p), size) for p in list_images([photographs])[:most]]
    artworks = [read_rgb(p) for p in list_images([styles])[:most]]
    yardstick = _yardstick(vgg, contents, artworks)
    stylizer = Stylizer.from_pretrained("stylerwkv-s")
    held = [stylizer.encode_style(style) for style in artworks]
    scores, sheet = [], {}
    for strength in STRENGTHS:
        progress(f"quality: stylize image, strength {strength:g}")
        paintings: dict[tuple[int, int], Image.Image] = {}

        def ours(i: int, j: int, strength: float = strength) -> Image.Image:
            return held[j](contents[i], strength=strength)

        name = "stylize image" if strength == 1 else f"stylize image --strength {strength:g}"
        scores.append(_scored(yardstick, name, ours, paintings))
        if strength == 1:
            sheet["stylize"] = paintings
    peer = find_peer(torch.get_num_threads())
    if peer is not None:
        progress(f"quality: {peer.name}")
        paintings = {}
        theirs = _scored(
            yardstick,
            f"{peer.name}, any style",
            lambda i, j: peer.arbitrary(contents[i], artworks[j]),
            paintings,
        )
        scores.append(theirs)
        sheet[peer.name] = paintings
    sections = [_section(scores, _curves(scores), contents, artworks, sheet)]
    if slow:
        sections.append(_slow(vgg, contents[:_SLOW_PAIRS], artworks[:_SLOW_PAIRS], held, progress))
    return sections


def _yardstick(vgg: Vgg16, contents: Sequence[Image.Image], artworks: Sequence[Image.Image]) -> Yardstick:
    return Yardstick(vgg, *(torch.stack([_square(im) for im in images]) for images in (contents, artworks)))


def _square(image: Image.Image) -> Tensor:
    return to_tensor(centre_square(image, _SIDE))


def _scored(
    yardstick: Yardstick, what: str, painter: PaintPair, paintings: dict[tuple[int, int], Image.Image]
) -> Score:
    """Scores of pictures, with their lattice at their own size; what goes into the sheet is kept."""
    lattices: list[float] = []

    def paint(i: int, j: int) -> Tensor:
        painted = painter(i, j)
        lattices.append(float(lattice(to_tensor(painted)[None])))
        if i == j and i < _SHEET:
            paintings[i, j] = painted
        return _square(painted)

    score = yardstick.score(what, paint)
    return replace(score, lattice=sum(lattices) / len(lattices))


def _slow(
    vgg: Vgg16,
    contents: list[Image.Image],
    artworks: list[Image.Image],
    held: list[Stylizer],
    progress: Progress,
) -> Section:
    """The baselines beside this tool, on the same few pairs."""
    yardstick = _yardstick(vgg, contents, artworks)
    methods = {
        "Gatys et al., 150 iterations": baselines.gatys,
        "AdaIN, inverted in 150 iterations": baselines.adain,
    }
    scores = [_scored(yardstick, "stylize image", lambda i, j: held[j](contents[i]), {})]
    for name, method in methods.items():
        progress(f"quality: {name}")
        paint = partial(_at_256, method, vgg, contents, artworks)
        scores.append(_scored(yardstick, name, paint, {}))
    return _section(scores, (), [], [], {}, "Beside two well-known methods, at 256 x 256, on fewer pairs")


def _at_256(
    method: Callable[..., Tensor],
    vgg: Vgg16,
    contents: Sequence[Image.Image],
    artworks: Sequence[Image.Image],
    i: int,
    j: int,
) -> Image.Image:
    with torch.inference_mode(False):
        painted = method(vgg, _square(contents[i])[None], _square(artworks[j])[None])
    array = (painted[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return Image.fromarray(array)


def _curves(scores: Sequence[Score]) -> tuple[tuple[str, Image.Image], ...]:
    ours = [(s.content_cosine, s.style_ratio) for s in scores if s.what.startswith("stylize image")]
    curves = {"stylize image, by strength": ours} | {
        s.what: [(s.content_cosine, s.style_ratio)] for s in scores if not s.what.startswith("stylize image")
    }
    plot = line_plot(
        curves, "content cosine (right is more of the photograph)", "style ratio (lower is more)"
    )
    return (("Style against content: lower and further right is better.", plot),)


def _section(
    scores: Sequence[Score],
    plots: tuple[tuple[str, Image.Image], ...],
    contents: Sequence[Image.Image],
    artworks: Sequence[Image.Image],
    sheet: Mapping[str, Mapping[tuple[int, int], Image.Image]],
    title: str = "Paintings like a style image",
) -> Section:
    pictures = plots
    if sheet:
        count = min(_SHEET, len(contents), len(artworks))
        rows = [[*contents[:count]], [*artworks[:count]]]
        rows += [[paintings[k, k] for k in range(count)] for paintings in sheet.values()]
        pictures += (("", grid(rows, ["photograph", "style", *sheet], cell=256)),)
    cells = [
        (
            s.what,
            str(s.pairs),
            f"{s.style_ratio:.3f} ± {s.error[0]:.3f}",
            f"{s.retrieval:.2f}",
            f"{s.content_cosine:.3f} ± {s.error[1]:.3f}",
            f"{s.ssim:.3f}",
            "" if s.lattice is None else f"{s.lattice:.3f}",
        )
        for s in scores
    ]
    return Section(
        "quality",
        title,
        "stylize bench quality --photographs DIR --styles DIR --vgg FILE",
        ("what", "pairs", "style ratio", "retrieval", "content cosine", "SSIM", "lattice"),
        cells,
        [asdict(s) for s in scores],
        pictures,
        ("± is the standard error over styles. The lattice of white noise is 0.016.",),
    )
