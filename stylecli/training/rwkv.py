"""``stylize train rwkv``: trains StyleRWKV on folders of photographs and of styles.

One step: a batch of photograph crops and style crops, one picture painted with its own style (identity), VGG-16
losses at two scales. The output at half size gives content and coarse style, so that strokes are wide enough to be
seen; a window of the output at full size gives the fine texture. What VGG-16 says of the (fixed) content crops and
of the styles is computed once and kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.metrics.vgg import Vgg16
from stylecli.models.registry import load_network
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import READING, StyleRwkv
from stylecli.training import losses, parallel
from stylecli.training.checkpoint import RELEASE, State
from stylecli.training.data import ContentCrops, StyleImages, list_images
from stylecli.training.perceptual import (
    COARSE,
    Wanted,
    content_features,
    half,
    mean_and_spread,
    painting_terms,
    style_statistics,
)
from stylecli.training.schedule import cosine
from stylecli.training.sheet import write_sheet

_SOME = 200  # styles


@dataclass
class TrainConfig:
    """Everything that decides a run; written into every checkpoint.

    Attributes:
        content, style: folders of pictures. val_content, val_style: pictures of the contact sheets.
        vgg: safetensors file of VGG-16. out: folder for checkpoints, sheets, log and released weights.
        steps, batch, crop: length of the run, pictures per step, side of a crop in pixels (multiple of 32).
        first_crop, first_share: a smaller crop for this share of the run, because early steps need no more.
        lr, decay_from: Adam's learning rate, and the share of the run after which it falls to zero (cosine).
        content_weight .. tv_weight: weights of the losses, in the order of `loss_terms`.
        workers: processes of one thread each that share a batch; worth it on a CPU.
        warm_start: weights to begin with, whose style reader stays as it is (see stylecli/training/reader.py).
            Without them it learns with the rest, and less. resume: continue from ``out`` where there is a checkpoint.
    """

    content: list[Path]
    style: list[Path]
    vgg: Path
    out: Path = Path("runs/rwkv")
    val_content: Path | None = None
    val_style: Path | None = None
    steps: int = 10_000
    batch: int = 4
    crop: int = 224
    first_crop: int = 160
    first_share: float = 0.6
    lr: float = 1e-3
    decay_from: float = 0.5
    content_weight: float = 0.5
    style_weight: float = 2.0
    fine_weight: float = 0.5
    identity_weight: float = 1.0
    identity_features_weight: float = 0.2
    tv_weight: float = 0.02
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    bf16: bool = False
    save_every: int = 250
    sheet_every: int = 500
    warm_start: Path | None = None
    resume: bool = True
    network: StyleRwkvConfig = field(default_factory=StyleRwkvConfig)

    @property
    def loss_weights(self) -> dict[str, float]:
        return {
            "content": self.content_weight,
            "style": self.style_weight,
            "fine": self.fine_weight,
            "identity": self.identity_weight,
            "identity_features": self.identity_features_weight,
            "tv": self.tv_weight,
        }

    def crop_at(self, step: int) -> int:
        return self.first_crop if step < self.first_share * self.steps else self.crop

    def record(self) -> dict[str, object]:
        return {k: str(v) if isinstance(v, Path | list) else v for k, v in asdict(self).items()}


class Targets:
    """What VGG-16 says of contents and styles, kept in float16 after the first time."""

    def __init__(self, vgg: Vgg16, contents: list[Path], styles: list[Path], device: str, bf16: bool = False):
        self.vgg, self.device = vgg, device
        self.precision = partial(torch.autocast, device.split(":")[0], torch.bfloat16, enabled=bf16)
        self.content_paths, self.styles = contents, StyleImages(styles)
        self._content: dict[int, list[Tensor]] = {}
        self._style: dict[int, list[Tensor]] = {}

    def set_crop(self, crop: int) -> None:
        """Take content crops of this size from now on."""
        self.contents = ContentCrops(self.content_paths, crop)
        self._content.clear()

    def content(self, index: int) -> list[Tensor]:
        """What a crop should keep, see :func:`content_features`."""
        if index not in self._content:
            with self.precision():
                self._content[index] = content_features(self.vgg, self.contents[index][None].to(self.device))
        return self._content[index]

    def style(self, index: int) -> list[Tensor]:
        """What a style looks like, see :func:`style_statistics`."""
        if index not in self._style:
            with self.precision():
                self._style[index] = style_statistics(self.vgg, self.styles[index][None].to(self.device))
        return self._style[index]

    def some_styles(self) -> list[int]:
        """Numbers of styles that stand for all."""
        return np.random.default_rng(0).permutation(len(self.styles))[:_SOME].tolist()

    def spread(self) -> list[Tensor]:
        """Spread of every statistic over many styles."""
        rows = (self.style(i) for i in tqdm(self.some_styles(), desc="style statistics", leave=False))
        return mean_and_spread(rows)[1]


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    style: Tensor  # (B, 3, side, side)
    wanted: Wanted


def mirrored(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Left-right flipped half of the time."""
    return image.flip(-1) if rng.random() < 0.5 else image


def draw(rng: np.random.Generator, total: int, slot: int, slots: int) -> int:
    """A number under ``total`` for one place in the batch. Places draw from disjoint sets, so that what one worker
    has computed no other computes again."""
    return int(rng.integers(0, (total - slot + slots - 1) // slots)) * slots + slot


def batches(config: TrainConfig, targets: Targets, start: int, rank: int) -> Iterator[tuple[int, Batch]]:
    """Steps start .. steps - 1; what a step holds depends on (seed, step) alone, so that a resumed run is exact."""
    size = config.batch // config.workers
    slots = range(rank * size, (rank + 1) * size)
    for step in range(start, config.steps):
        crop = config.crop_at(step)
        if step == start or crop != config.crop_at(step - 1):
            targets.set_crop(crop)
        rngs = [np.random.default_rng([config.seed, step, slot]) for slot in slots]
        c = [draw(r, len(targets.contents), j, config.batch) for r, j in zip(rngs, slots, strict=True)]
        s = [draw(r, len(targets.styles), j, config.batch) for r, j in zip(rngs, slots, strict=True)]
        content = torch.stack([targets.contents[i] for i in c])
        style = torch.stack([mirrored(targets.styles[i], r) for i, r in zip(s, rngs, strict=True)])
        identity = torch.zeros(size)
        if step % 2 and rank == 0:
            style[0] = F.interpolate(content[:1], style.shape[-1], mode="bilinear")[0]
            identity[0] = 1
        yield (
            step,
            Batch(
                content.to(config.device),
                style.to(config.device),
                Wanted(
                    [torch.cat(layer) for layer in zip(*(targets.content(i) for i in c), strict=True)],
                    [torch.cat(layer) for layer in zip(*(targets.style(i) for i in s), strict=True)],
                    (1 - identity).to(config.device),
                    (int(rngs[0].integers(0, crop // 2 + 1)), int(rngs[0].integers(0, crop // 2 + 1))),
                ),
            ),
        )


def loss_terms(output: Tensor, batch: Batch, vgg: Vgg16, spreads: list[Tensor]) -> dict[str, Tensor]:
    """Unweighted losses of one painted batch (B, 3, crop, crop)."""
    terms, coarse = painting_terms(output, batch.wanted, vgg, spreads)
    identity = 1 - batch.wanted.styled
    same = identity.nonzero().flatten()
    identity_features = output.new_zeros(())
    if len(same):
        with torch.no_grad():
            wanted = vgg(half(batch.content[same]), COARSE)
        layers = [losses.feature_difference(coarse[k][same], wanted[k]).sum() for k in COARSE]
        identity_features = torch.stack(layers).mean() / len(output)
    return terms | {
        "identity": ((output - batch.content).abs().mean((1, 2, 3)) * identity).mean(),
        "identity_features": identity_features,
    }


@torch.no_grad()
def usual_style(model: StyleRwkv, targets: Targets) -> Tensor:
    """Mean statistics (S,) of training's styles, as the model has come to encode them."""
    encoded = (model.encode_style(targets.styles[i][None].to(targets.device)) for i in targets.some_styles())
    return torch.cat(list(encoded)).mean(0)


def train(config: TrainConfig) -> Path:
    """Train and return the path of the released weights. Interrupting is safe: a later call resumes exactly."""
    if config.crop % 32 or config.first_crop % 32:
        raise UsageError(f"crops of {config.first_crop} and {config.crop} pixels must be multiples of 32")
    if config.batch % config.workers:
        raise UsageError(f"a batch of {config.batch} cannot be shared by {config.workers} workers")
    config.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    vgg = Vgg16(config.vgg).to(config.device)
    targets = Targets(vgg, [], list_images(config.style), config.device, config.bf16)
    spreads = targets.spread()
    parallel.run(config.workers, _work, config, spreads)
    return config.out / RELEASE


def _work(rank: int, config: TrainConfig, spreads: list[Tensor]) -> None:
    """The loop of one worker. All workers hold the same weights; the first one writes files."""
    targets = Targets(
        Vgg16(config.vgg).to(config.device),
        list_images(config.content),
        list_images(config.style),
        config.device,
        config.bf16,
    )
    torch.manual_seed(config.seed)  # every worker begins with the same weights
    model = StyleRwkv(config.network)
    if config.warm_start:
        network = load_network(config.warm_start)
        model.load_state_dict(network.state_dict(), strict=False)  # what it lacks begins fresh
        model.reader.requires_grad_(False)
    model.to(config.device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.99))
    state = State(config.out / "checkpoint.safetensors", model, optimizer, config.ema)
    if config.resume:
        state.load()
    began = time.monotonic() - state.seconds
    bar = tqdm(total=config.steps, initial=state.step, desc="StyleRWKV", mininterval=10, disable=rank > 0)
    weights = config.loss_weights
    for step, batch in batches(config, targets, state.step, rank):
        for group in optimizer.param_groups:
            group["lr"] = cosine(config.lr, step, config.steps, config.decay_from)
        with targets.precision():
            statistics = model.encode_style(batch.style)
            output = model(batch.content, statistics, seed=step)
            terms = loss_terms(output.float(), batch, targets.vgg, spreads)
        optimizer.zero_grad(set_to_none=True)
        torch.stack([weights[k] * terms[k] for k in weights]).sum().backward()
        parallel.average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        state.finish_step(terms)
        bar.update()
        last = state.step == config.steps
        if rank:
            continue
        state.seconds = time.monotonic() - began
        if state.step % 50 == 0:
            state.log(config.out / "log.txt")
        if state.step % config.save_every == 0 or last:
            record = {"config": config.record()}
            model.usual.copy_(usual_style(model, targets))
            state.ema.values["usual"].copy_(model.usual)
            state.save(record)
            state.release(config.out / RELEASE, config.network.to_json(), record, eight_bits=READING)
        if config.val_content and config.val_style and (state.step % config.sheet_every == 0 or last):
            write_sheet(config.out / f"sheet-{state.step:06d}.png", config, state.averaged())
    bar.close()
