"""``stylize train rwkv``: trains StyleRWKV on folders of photographs and of styles.

One step: a batch of photograph crops and style crops, one picture painted with its own style (identity), VGG-16
losses at two scales. The output at half size gives content and coarse style, so that strokes are wide enough to be
seen; a window of the output at full size gives the fine texture. What VGG-16 says of the (fixed) content crops and
of the styles is computed once and kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.models.registry import load_network
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.training import checkpoint, losses, parallel
from stylecli.training.data import ContentCrops, StyleImages, list_images
from stylecli.training.sheet import write_sheet
from stylecli.training.vgg import Vgg16

log = logging.getLogger(__name__)

CONTENT = ("3_3", "4_3")
# Deep layers count most: that is where colour transfer alone scores nothing.
COARSE = {"1_2": 0.08, "2_2": 0.12, "3_1": 0.12, "3_3": 0.22, "4_1": 0.14, "4_3": 0.32}
RELEASE = "release.safetensors"
FINE = ("1_1", "1_2", "2_1", "2_2")


@dataclass
class TrainConfig:
    """Everything that decides a run; written into every checkpoint.

    Attributes:
        content, style: folders of pictures. val_content, val_style: pictures of the contact sheets.
        vgg: safetensors file of VGG-16. out: folder for checkpoints, sheets, log and released weights.
        steps, batch, crop: length of the run, pictures per step, side of a crop in pixels (multiple of 32).
        first_crop, first_share: a smaller crop for this share of the run, because early steps need no more.
        lr, decay_from: Adam's learning rate, and the share of the run after which it falls to zero (cosine).
        content_weight .. code_weight: weights of the losses, in the order of `loss_terms`.
        workers: processes of one thread each that share a batch; worth it on a CPU.
        warm_start: weights to begin with. resume: continue from ``out`` where there is a checkpoint.
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
    code_weight: float = 0.5
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
            "code": self.code_weight,
        }

    def crop_at(self, step: int) -> int:
        return self.first_crop if step < self.first_share * self.steps else self.crop

    def record(self) -> dict[str, object]:
        return {k: str(v) if isinstance(v, Path | list) else v for k, v in asdict(self).items()}


class Targets:
    """What VGG-16 says of contents and styles, kept in float16 after the first time."""

    def __init__(self, vgg: Vgg16, contents: list[Path], styles: list[Path], device: str):
        self.vgg, self.device = vgg, device
        self.content_paths, self.styles = contents, StyleImages(styles)
        self._content: dict[int, list[Tensor]] = {}
        self._style: dict[int, list[Tensor]] = {}

    def set_crop(self, crop: int) -> None:
        """Take content crops of this size from now on."""
        self.contents = ContentCrops(self.content_paths, crop)
        self._content.clear()

    @torch.no_grad()
    def content(self, index: int) -> list[Tensor]:
        """Instance-normalised features, (1, C, h, w) per layer of CONTENT, at half size."""
        if index not in self._content:
            features = self.vgg(half(self.contents[index][None].to(self.device)), CONTENT)
            self._content[index] = [losses.instance_normalised(features[n]).half() for n in CONTENT]
        return self._content[index]

    @torch.no_grad()
    def style(self, index: int) -> list[Tensor]:
        """Statistics (1, 2 C) per layer of COARSE at half size, then of FINE in the middle at full size."""
        if index not in self._style:
            image = self.styles[index][None].to(self.device)
            coarse = self.vgg(half(image), COARSE)
            quarter = image.shape[-1] // 4
            fine = self.vgg(image[..., quarter:-quarter, quarter:-quarter], FINE)
            self._style[index] = [losses.statistics(coarse[n]) for n in COARSE] + [
                losses.statistics(fine[n]) for n in FINE
            ]
        return self._style[index]

    def spread(self, samples: int = 200) -> tuple[list[Tensor], list[Tensor]]:
        """Mean and standard deviation of every statistic over many styles, (2 C,) per layer, the latter kept off
        zero."""
        chosen = np.random.default_rng(0).permutation(len(self.styles))[:samples]
        rows = [self.style(int(i)) for i in tqdm(chosen, desc="style statistics", leave=False)]
        spreads = [torch.cat(layer).std(0) for layer in zip(*rows, strict=True)]
        return [torch.cat(layer).mean(0) for layer in zip(*rows, strict=True)], [
            s.clamp(min=0.2 * float(s.median())) for s in spreads
        ]


def half(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2)


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    style: Tensor  # (B, 3, side, side)
    content_targets: list[Tensor]  # (B, C, h, w) per layer
    style_targets: list[Tensor]  # (B, 2 C) per layer
    identity: Tensor  # (B,) 1 where style is the content itself
    window: tuple[int, int]  # corner of the full-size window


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
                [torch.cat(layer) for layer in zip(*(targets.content(i) for i in c), strict=True)],
                [torch.cat(layer) for layer in zip(*(targets.style(i) for i in s), strict=True)],
                identity.to(config.device),
                (int(rngs[0].integers(0, crop // 2 + 1)), int(rngs[0].integers(0, crop // 2 + 1))),
            ),
        )


def loss_terms(output: Tensor, batch: Batch, vgg: Vgg16, spreads: list[Tensor]) -> dict[str, Tensor]:
    """Unweighted losses of one painted batch (B, 3, crop, crop)."""
    styled = 1 - batch.identity
    coarse = vgg(half(output), COARSE)
    y, x = batch.window
    side = output.shape[-1] // 2
    fine = vgg(output[..., y : y + side, x : x + side], FINE)
    per_layer = [
        losses.style_loss(f, t, s, styled)
        for f, t, s in zip(
            [coarse[n] for n in COARSE] + [fine[n] for n in FINE], batch.style_targets, spreads, strict=True
        )
    ]
    n = len(COARSE)
    same = batch.identity.nonzero().flatten()
    identity_features = output.new_zeros(())
    if len(same):
        with torch.no_grad():
            wanted = vgg(half(batch.content[same]), COARSE)
        layers = [losses.feature_difference(coarse[k][same], wanted[k]).sum() for k in COARSE]
        identity_features = torch.stack(layers).mean() / len(output)
    return {
        "content": torch.stack(
            [losses.content_loss(coarse[k], t) for k, t in zip(CONTENT, batch.content_targets, strict=True)]
        ).mean(),
        "style": sum_weighted(per_layer[:n], COARSE.values()),
        "fine": torch.stack(per_layer[n:]).mean(),
        "identity": ((output - batch.content).abs().mean((1, 2, 3)) * batch.identity).mean(),
        "identity_features": identity_features,
        "tv": losses.total_variation(output),
    }


def sum_weighted(terms: Iterable[Tensor], weights: Iterable[float]) -> Tensor:
    return torch.stack([w * t for w, t in zip(weights, terms, strict=True)]).sum()


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up over 100 steps, flat, then a cosine down to 2 % after ``decay_from``."""
    warm = min(1.0, (step + 1) / 100)
    begin = config.decay_from * config.steps
    if step < begin:
        return config.lr * warm
    share = (step - begin) / max(1.0, config.steps - begin)
    return config.lr * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * share)))


def train(config: TrainConfig) -> Path:
    """Train and return the path of the released weights. Interrupting is safe: a later call resumes exactly."""
    if config.crop % 32 or config.first_crop % 32:
        raise UsageError(f"crops of {config.first_crop} and {config.crop} pixels must be multiples of 32")
    if config.batch % config.workers:
        raise UsageError(f"a batch of {config.batch} cannot be shared by {config.workers} workers")
    config.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    targets = Targets(Vgg16(config.vgg).to(config.device), [], list_images(config.style), config.device)
    means, spreads = targets.spread()
    parallel.run(config.workers, _work, config, means, spreads)
    return config.out / RELEASE


def _work(rank: int, config: TrainConfig, means: list[Tensor], spreads: list[Tensor]) -> None:
    """The loop of one worker. All workers hold the same weights; the first one writes files."""
    targets = Targets(
        Vgg16(config.vgg).to(config.device),
        list_images(config.content),
        list_images(config.style),
        config.device,
    )
    run = Run(config, [m / s for m, s in zip(means, spreads, strict=True)])
    bar = tqdm(total=config.steps, initial=run.step, desc="StyleRWKV", mininterval=10, disable=rank > 0)
    weights = config.loss_weights
    for step, batch in batches(config, targets, run.step, rank):
        for group in run.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.bf16):
            statistics = run.model.encode_style(batch.style)
            output = run.model(batch.content, statistics, seed=step)
            predicted = run.probe(run.model.code(statistics))
            terms = loss_terms(output.float(), batch, targets.vgg, spreads)
            terms["code"] = losses.code_loss(
                predicted.float(), batch.style_targets, spreads, 1 - batch.identity
            )
        run.optimizer.zero_grad(set_to_none=True)
        torch.stack([weights[k] * terms[k] for k in weights]).sum().backward()
        parallel.average_gradients(run.parameters)
        torch.nn.utils.clip_grad_norm_(run.parameters, 1.0)
        run.optimizer.step()
        run.finish_step(terms)
        bar.update()
        last = run.step == config.steps
        if rank:
            continue
        if run.step % 50 == 0:
            run.write_log()
        if run.step % config.save_every == 0 or last:
            run.save()
        if config.val_content and config.val_style and (run.step % config.sheet_every == 0 or last):
            write_sheet(config.out / f"sheet-{run.step:06d}.png", config, run.ema.values)
    bar.close()


class Run:
    """State of a training run: what a checkpoint holds."""

    def __init__(self, config: TrainConfig, typical: list[Tensor]):
        torch.manual_seed(config.seed)  # every worker begins with the same weights
        self.config, self.step, self.seconds = config, 0, 0.0
        self.model = StyleRwkv(config.network).to(config.device)
        if config.warm_start:
            network, _ = load_network(config.warm_start)
            self.model.load_state_dict(network.state_dict(), strict=False)  # what it lacks begins fresh
        # Reads a style's statistics from its code; starts by predicting the typical style. Not released.
        self.probe = nn.Linear(config.network.code, sum(map(len, typical))).to(config.device)
        nn.init.zeros_(self.probe.weight)
        self.probe.bias.data.copy_(torch.cat(typical))
        self.parameters = [*self.model.parameters(), *self.probe.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.lr, betas=(0.9, 0.99))
        self.ema = checkpoint.Ema(self.model, config.ema)
        self.running: dict[str, float] = {}
        self.path = config.out / "checkpoint.safetensors"
        if config.resume and self.path.exists():
            self._load()
        self._began = time.monotonic() - self.seconds

    def _load(self) -> None:
        tensors, record = checkpoint.load_checkpoint(self.path)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "probe": {}, "ema": {}, "adam": {}}
        for name, value in tensors.items():
            part, key = name.split(".", 1)
            parts[part][key] = value
        self.model.load_state_dict(parts["model"])
        self.probe.load_state_dict(parts["probe"])
        self.ema.values = {k: v.to(self.config.device) for k, v in parts["ema"].items()}
        checkpoint.restore_optimizer(self.optimizer, parts["adam"])
        self.step, self.seconds = record["step"], record["seconds"]
        log.info("resuming at step %d", self.step)

    def finish_step(self, terms: dict[str, Tensor]) -> None:
        self.step += 1
        self.ema.update(self.model, self.step)
        for name, value in terms.items():
            v = float(value.detach())
            self.running[name] = (
                v if name not in self.running else self.running[name] + 0.02 * (v - self.running[name])
            )

    def write_log(self) -> None:
        line = " ".join(f"{k} {v:.3f}" for k, v in self.running.items())
        with (self.config.out / "log.txt").open("a") as file:
            file.write(f"{self.step} {time.monotonic() - self._began:.0f}s {line}\n")

    def save(self) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"probe.{k}": v for k, v in self.probe.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.values.items()}
        tensors |= {f"adam.{k}": v for k, v in checkpoint.optimizer_tensors(self.optimizer).items()}
        record = {
            "step": self.step,
            "seconds": time.monotonic() - self._began,
            "config": self.config.record(),
        }
        checkpoint.save_checkpoint(self.path, tensors, record)
        release = self.config.out / RELEASE
        checkpoint.save_release(release, self.ema.values, self.config.network.to_json(), record)
