"""Do pictures painted after a phrase look like what the phrase names? Prompt recognition by a linear probe.

A linear classifier learns to tell 24 classes of real artworks apart (artists, movements, materials), from channel
statistics of VGG-16 (relu1_2, 2_2, 3_3, 4_3). Then it names the class of pictures painted with the class's prompt. A
second one does so from a network that nothing was trained on (:mod:`stylecli.metrics.independent`), where it is
installed. Every fourth artwork of a class is kept out of the probes' training, and out of the training of the networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean as mean

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.bench.section import Progress, Section
from stylecli.metrics import independent
from stylecli.metrics.ssim import structural_similarity
from stylecli.metrics.statistics import statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.paint.style import Style
from stylecli.paint.stylizer import Stylizer
from stylecli.training.data import centre_square, list_images, read_rgb, to_tensor
from stylecli.training.prompts import PROBE_CLASSES, Prompts, probe_members, read_manifest

LAYERS = ("1_2", "2_2", "3_3", "4_3")
MOST = 80  # artworks of a class that the probe learns from


@dataclass(frozen=True)
class Row:
    """How often each probe names the right class first, and among its first three; SSIM to the photographs; mean over
    classes of their saturation, in shares of the artworks'."""

    pictures: str
    count: int
    top1: float
    top3: float
    independent_top1: float | None = None
    independent_top3: float | None = None
    ssim: float | None = None
    saturation: float | None = None


def prompt_of(column: str, name: str) -> str:
    """What a class is called: "Claude Monet style", "rococo painting", "woven carpet"."""
    return {"artist": f"{name} style", "movement": f"{name} painting"}.get(column, name)


class Probe:
    """Multinomial logistic regression on standardised statistics; classes weigh alike, whatever their size."""

    def __init__(self, features: Tensor, labels: Tensor, decay: float = 0.03, steps: int = 60):
        self.mean, self.std = features.mean(0), features.std(0) + 1e-4
        x = self._scaled(features)
        classes = int(labels.max()) + 1
        share = len(labels) / (classes * torch.bincount(labels).float())
        weight = torch.zeros(x.shape[1], classes, requires_grad=True)
        bias = torch.zeros(classes, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(x @ weight + bias, labels, weight=share)
            loss = loss + decay * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        self.weight, self.bias = weight.detach(), bias.detach()

    def ranks(self, features: Tensor, labels: Tensor) -> Tensor:
        """Place of the right class among all, 0 = first; (N,)."""
        scores = self._scaled(features) @ self.weight + self.bias
        return (scores > scores.gather(1, labels[:, None])).sum(1)

    def _scaled(self, features: Tensor) -> Tensor:
        # One wild statistic of a painted picture must not outvote all others.
        return ((features - self.mean) / self.std).clamp(-4, 4) / features.shape[1] ** 0.5 * 8


Judge = Callable[[Tensor], Sequence[Tensor]]
"""Pictures (B, 3, H, W) to feature maps."""


def judges(vgg: Vgg16) -> list[Judge]:
    """VGG-16, and the independent network where it is installed."""
    found: list[Judge] = [lambda x: list(vgg(x, LAYERS).values())]
    if independent.is_installed():
        found.append(independent.EfficientNetLite())
    return found


@torch.inference_mode()
def describe(judge: Judge, images: Iterable[Tensor]) -> Tensor:
    """Pictures (3, H, W) in 0..1, scaled to a short side of 256 pixels, to statistics (N, D)."""
    rows = []
    for image in images:
        scale = 256 / min(image.shape[1:])
        x = F.interpolate(image[None], scale_factor=scale, mode="bilinear", antialias=True).clamp(0, 1)
        rows.append(torch.cat([statistics(seen) for seen in judge(x)], 1))
    return torch.cat(rows)


def chroma(image: Tensor) -> float:
    """Mean saturation of (3, H, W): the distance of the largest from the least of its colours."""
    return float((image.amax(0) - image.amin(0)).mean())


def regression(
    stylizer: Stylizer, encode: Callable[[list[str]], Tensor], prompts: Prompts
) -> Callable[[str], Style]:
    """The baseline: ridge regression from a prompt's embedding to StyleRWKV's style statistics.

    Learned from every artwork that the networks were trained on and its caption (lambda 1); predictions are pushed to
    twice their distance from the mean, as in the trial that the idea comes from.
    """
    styles = []
    for path in prompts.paths:
        encoded = stylizer.encode_style(to_tensor(centre_square(read_rgb(path), 224))).style
        assert encoded is not None
        styles.append(encoded.vector)
    y = torch.cat(styles)
    captions = [""] * len(prompts.paths)
    for label in prompts.labels:
        if label.column == "caption":
            for i in label.members:
                captions[i] = label.name
    x = torch.cat([encode(captions[i : i + 256]) for i in range(0, len(captions), 256)])
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    map_ = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ y)

    def predict(prompt: str) -> Style:
        return Style(y_mean + 2 * (encode([prompt]) - x_mean) @ map_)

    return predict


def run(
    data: Path, photographs: Path, vgg_file: Path, photos: int = 10, progress: Progress = lambda text: None
) -> list[Row]:
    """Recognition of real artworks, photographs, and what the tool paints.

    Args:
        data: folder with a ``manifest.csv`` that holds the probe's classes. photographs: folder of photographs.

    Raises InputError, UsageError or WeightsError, one line, for what cannot be used.
    """
    seeing = judges(Vgg16(vgg_file))
    classes = [(column, name) for column, names in PROBE_CLASSES.items() for name in names]
    members = probe_members(read_manifest(data))
    learn = [
        (data / row["file"], k) for k, (_, name) in enumerate(classes) for row in _learned(members[name])
    ]
    check = [
        (data / row["file"], k) for k, (_, name) in enumerate(classes) for row in members[name][3::4][:20]
    ]
    progress(f"probe: {len(learn)} artworks to learn from, {len(check)} to check")

    def read(pairs: list[tuple[Path, int]]) -> list[Tensor]:
        return [to_tensor(centre_square(read_rgb(path), 256)) for path, _ in pairs]

    known, learned = read(learn), torch.tensor([k for _, k in learn])
    probes = [Probe(describe(judge, known), learned) for judge in seeing]
    colours = [
        max(0.02, mean(chroma(x) for x, k in zip(known, learned.tolist(), strict=True) if k == number))
        for number in range(len(classes))
    ]

    def row(name: str, images: list[Tensor], labels: Tensor, ssim: float | None = None) -> Row:
        scores: list[float | None] = []
        for judge, probe in zip(seeing, probes, strict=True):
            ranks = probe.ranks(describe(judge, images), labels)
            scores += [float((ranks < 1).float().mean()), float((ranks < 3).float().mean())]
        shares = [chroma(x) / colours[k] for x, k in zip(images, labels.tolist(), strict=True)]
        top1, top3, other1, other3 = (*scores, None, None)[:4]
        assert top1 is not None and top3 is not None
        return Row(name, len(labels), top1, top3, other1, other3, ssim, mean(shares))

    rows = [row("real artworks, held out", read(check), torch.tensor([k for _, k in check]))]
    contents = [to_tensor(centre_square(read_rgb(p), 512)) for p in list_images([photographs])[:photos]]
    every = torch.arange(len(classes)).repeat_interleave(len(contents))
    rows.append(row("(a) untouched photographs", contents * len(classes), every))

    image, text = Stylizer.from_pretrained("stylerwkv-s"), Stylizer.from_pretrained("stylemamba-s")
    encoder = text.encoder
    assert encoder is not None

    def encode(sayings: list[str]) -> Tensor:
        with torch.inference_mode():
            return encoder.encode_text(sayings).clone()

    def artwork(k: int) -> Stylizer:
        path = data / members[classes[k][1]][3]["file"]
        return image.encode_style(to_tensor(read_rgb(path)))

    progress("regression baseline: encoding the artworks")
    predict = regression(image, encode, Prompts(data))
    for name, stylizer_of in (
        ("(b) stylize image, a held-out artwork as style", artwork),
        (
            "(c) prompt -> statistics -> StyleRWKV (ridge)",
            lambda k: image.with_style(predict(prompt_of(*classes[k]))),
        ),
        ("(d) the same phrases by StyleMamba", lambda k: text.encode_prompt(prompt_of(*classes[k]))),
        (
            "(e) stylize text: StyleRWKV and the style prior",
            lambda k: image.encode_prompt(prompt_of(*classes[k])),
        ),
    ):
        progress(name)
        painted = [
            stylizer(content)
            for stylizer in (stylizer_of(k) for k in range(len(classes)))
            for content in contents
        ]
        pairs = zip(painted, contents * len(classes), strict=True)
        likeness = mean(float(structural_similarity(p[None], c[None])) for p, c in pairs)
        rows.append(row(name, painted, every, likeness))
    return rows


def _learned(members: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those of a class that the probe learns from."""
    return [row for i, row in enumerate(members) if i % 4 != 3][:MOST]


def section(rows: Sequence[Row]) -> Section:
    """The rows as a table."""
    cells = [
        (
            r.pictures,
            str(r.count),
            *(
                "" if x is None else f"{x:.2f}"
                for x in (r.top1, r.top3, r.independent_top1, r.independent_top3, r.ssim, r.saturation)
            ),
        )
        for r in rows
    ]
    return Section(
        "text",
        "Prompt recognition: a classifier of real artworks names what was painted",
        "stylize bench text --data DIR --photographs DIR --vgg FILE",
        (
            "pictures",
            "count",
            "top-1",
            "top-3",
            "top-1, independent",
            "top-3, independent",
            "SSIM",
            "saturation",
        ),
        cells,
        [asdict(row) for row in rows],
        remarks=(
            "The first classifier sees VGG-16 statistics of 24 classes. The networks were trained on VGG-16, too: the "
            "second one, which needs two small packages (stylecli/metrics/independent.py), flatters less.",
        ),
    )
