"""``stylize train rwkv``: trains StyleRWKV on folders of photographs and of styles.

One step: a batch of photograph crops and style crops, one picture painted with its own style (identity), VGG-16
losses at two scales. The output at half size gives content and coarse style, so that strokes are wide enough to be
seen; a window of the output at full size gives the fine texture. What VGG-16 says of the (fixed) content crops and
of the styles is computed once and kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.training import checkpoint, losses
from stylecli.training.data import ContentCrops, StyleImages, list_images, random_crop
from stylecli.training.sheet import write_sheet
from stylecli.training.vgg import Vgg16

log = logging.getLogger(__name__)

CONTENT = ("3_3", "4_3")
COARSE = ("1_2", "2_2", "3_1", "3_3", "4_1", "4_3")
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
        content_weight, style_weight, fine_weight, identity_weight, tv_weight: weights of the losses.
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
    style_weight: float = 1.5
    fine_weight: float = 0.5
    identity_weight: float = 2.0
    tv_weight: float = 0.02
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    bf16: bool = False
    save_every: int = 250
    sheet_every: int = 500
    warm_start: Path | None = None
    resume: bool = True
    network: StyleRwkvConfig = field(default_factory=StyleRwkvConfig)

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

    def spread(self, samples: int = 200) -> list[Tensor]:
        """Standard deviation of every statistic over many styles, (2 C,) per layer, kept off zero."""
        chosen = np.random.default_rng(0).permutation(len(self.styles))[:samples]
        rows = [self.style(int(i)) for i in tqdm(chosen, desc="style statistics", leave=False)]
        spreads = [torch.cat(layer).std(0) for layer in zip(*rows, strict=True)]
        return [s.clamp(min=0.2 * float(s.median())) for s in spreads]


def half(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2)


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    style: Tensor  # (B, 3, crop, crop)
    content_targets: list[Tensor]  # (B, C, h, w) per layer
    style_targets: list[Tensor]  # (B, 2 C) per layer
    identity: Tensor  # (B,) 1 where style is the content itself
    window: tuple[int, int]  # corner of the full-size window


def batches(config: TrainConfig, targets: Targets, start: int) -> Iterator[tuple[int, Batch]]:
    """Steps start .. steps - 1; what a step holds depends on (seed, step) alone, so that a resumed run is exact."""
    for step in range(start, config.steps):
        crop = config.crop_at(step)
        if step == start or crop != config.crop_at(step - 1):
            targets.set_crop(crop)
        rng = np.random.default_rng([config.seed, step])
        c = rng.integers(0, len(targets.contents), config.batch).tolist()
        s = rng.integers(0, len(targets.styles), config.batch).tolist()
        content = torch.stack([targets.contents[i] for i in c])
        style = torch.stack([random_crop(targets.styles[i], crop, rng) for i in s])
        identity = torch.zeros(config.batch)
        if step % 2:
            style[0], identity[0] = content[0], 1
        yield (
            step,
            Batch(
                content.to(config.device),
                style.to(config.device),
                [torch.cat(layer) for layer in zip(*(targets.content(i) for i in c), strict=True)],
                [torch.cat(layer) for layer in zip(*(targets.style(i) for i in s), strict=True)],
                identity.to(config.device),
                (int(rng.integers(0, crop // 2 + 1)), int(rng.integers(0, crop // 2 + 1))),
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
    return {
        "content": torch.stack(
            [losses.content_loss(coarse[k], t) for k, t in zip(CONTENT, batch.content_targets, strict=True)]
        ).mean(),
        "style": torch.stack(per_layer[:n]).mean(),
        "fine": torch.stack(per_layer[n:]).mean(),
        "identity": ((output - batch.content).abs().mean((1, 2, 3)) * batch.identity).mean(),
        "tv": losses.total_variation(output),
    }


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
    torch.manual_seed(config.seed)
    config.out.mkdir(parents=True, exist_ok=True)
    vgg = Vgg16(config.vgg).to(config.device)
    targets = Targets(vgg, list_images(config.content), list_images(config.style), config.device)
    model = StyleRwkv(config.network).to(config.device)
    if config.warm_start:
        # A checkpoint holds "ema.*" beside the rest; released weights are the names themselves.
        tensors = checkpoint.load_file(config.warm_start)
        ema_only = {k[4:]: v for k, v in tensors.items() if k.startswith("ema.")}
        model.load_state_dict({k: v.float() for k, v in (ema_only or tensors).items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.99))
    ema = checkpoint.Ema(model, config.ema)
    saved, start, spent = config.out / "checkpoint.safetensors", 0, 0.0
    if config.resume and saved.exists():
        tensors, record = checkpoint.load_checkpoint(saved)
        part = {p: {k[len(p) :]: v for k, v in tensors.items() if k.startswith(p)} for p in ("model.", "ema.", "adam.")}
        model.load_state_dict(part["model."])
        ema.values = {k: v.to(config.device) for k, v in part["ema."].items()}
        checkpoint.restore_optimizer(optimizer, part["adam."])
        start, spent = record["step"], record["seconds"]
        log.info("resuming at step %d", start)
    spreads = targets.spread(200)
    weights = {
        "content": config.content_weight,
        "style": config.style_weight,
        "fine": config.fine_weight,
        "identity": config.identity_weight,
        "tv": config.tv_weight,
    }

    def save(step: int) -> None:
        seconds = spent + time.monotonic() - began
        tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in ema.values.items()}
        tensors |= {f"adam.{k}": v for k, v in checkpoint.optimizer_tensors(optimizer).items()}
        record = {"step": step, "seconds": seconds, "config": config.record()}
        checkpoint.save_checkpoint(saved, tensors, record)
        checkpoint.save_release(config.out / "release.safetensors", ema.values, config.network.to_json(), record)

    began, running = time.monotonic(), dict.fromkeys(weights, 0.0)
    bar = tqdm(total=config.steps, initial=start, desc="StyleRWKV", mininterval=10)
    for step, batch in batches(config, targets, start):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.bf16):
            output = model(batch.content, model.encode_style(batch.style))
            terms = loss_terms(output.float(), batch, vgg, spreads)
        total = torch.stack([weights[k] * terms[k] for k in weights]).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.update(model, step)
        for name, value in terms.items():
            running[name] += (float(value.detach()) - running[name]) * (0.02 if step - start > 50 else 0.2)
        bar.update()
        done = step + 1
        if done % 50 == 0:
            line = " ".join(f"{k} {v:.3f}" for k, v in running.items())
            with (config.out / "log.txt").open("a") as file:
                file.write(f"{done} {spent + time.monotonic() - began:.0f}s {line}\n")
        if done % config.save_every == 0 or done == config.steps:
            save(done)
        if config.val_content and config.val_style and (done % config.sheet_every == 0 or done == config.steps):
            write_sheet(config.out / f"sheet-{done:06d}.png", config, ema.values)
    bar.close()
    if start >= config.steps:
        save(start)
    return config.out / "release.safetensors"
