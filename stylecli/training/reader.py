"""``stylize train reader``: the network that reads styles learns to see what VGG-16 sees in them.

Distillation: on crops of styles and photographs, its feature maps should be VGG-16's relu3_3 and relu4_3, place by
place, and so should their means and standard deviations, which are all that painting uses. Colours are changed at
random: the teacher answers for any picture, and styles of users are more colourful than a folder of paintings.
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
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.metrics.statistics import statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.models.registry import load_network
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import READING, StyleRwkv
from stylecli.paint.photo import luma
from stylecli.training import parallel
from stylecli.training.checkpoint import RELEASE, State, save_release
from stylecli.training.data import list_images, read_rgb, resize_short_side, to_tensor
from stylecli.training.perceptual import mean_and_spread
from stylecli.training.schedule import cosine

LAYERS = ("3_3", "4_3")
_SHORT = (224, 330)  # pixels of the short side of a picture that a crop is taken from
_SAMPLES = 400  # crops that units and spreads are measured on


@dataclass
class ReaderTrainConfig:
    """Everything that decides a run; written into every checkpoint.

    Attributes:
        images: folders of pictures, styles above all. vgg: safetensors file of VGG-16. out: folder of the run.
        steps, batch, crop: length of the run, crops per step, side of a crop in pixels (a multiple of 8).
        lr, decay_from: Adam's learning rate, and the share of the run after which it falls to zero (cosine).
        workers: processes of one thread each that share a batch; worth it on a CPU.
        warm_start: weights of a StyleRWKV whose other parts are kept. resume: go on from ``out``.
    """

    images: list[Path]
    vgg: Path
    out: Path = Path("runs/reader")
    steps: int = 4_000
    batch: int = 16
    crop: int = 160
    lr: float = 1e-3
    decay_from: float = 0.2
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    bf16: bool = False
    save_every: int = 250
    warm_start: Path | None = None
    resume: bool = True
    network: StyleRwkvConfig = field(default_factory=StyleRwkvConfig)

    def record(self) -> dict[str, object]:
        return {k: str(v) if isinstance(v, Path | list) else v for k, v in asdict(self).items()}


class Crops:
    """Random crops of pictures that are decoded once; what a crop is depends on its generator alone."""

    def __init__(self, paths: list[Path], crop: int):
        self.paths, self.crop = paths, crop
        self._kept: dict[int, Image.Image] = {}

    def __call__(self, rng: np.random.Generator) -> Tensor:
        """(3, crop, crop) in 0..1."""
        index = int(rng.integers(len(self.paths)))
        if index not in self._kept:
            image = read_rgb(self.paths[index])
            self._kept[index] = resize_short_side(image, _SHORT[1]) if min(image.size) > _SHORT[1] else image
        short = max(self.crop, int(rng.integers(_SHORT[0], _SHORT[1] + 1)))
        image = resize_short_side(self._kept[index], short)
        x, y = (int(rng.integers(0, n - self.crop + 1)) for n in image.size)
        tensor = to_tensor(image.crop((x, y, x + self.crop, y + self.crop)))
        return recoloured(tensor.flip(-1) if rng.random() < 0.5 else tensor, rng)


def recoloured(image: Tensor, rng: np.random.Generator) -> Tensor:
    """(3, H, W) with another saturation and contrast, half of the time, and sometimes with its colours exchanged."""
    if rng.random() < 0.15:
        image = image[torch.from_numpy(rng.permutation(3))]
    if rng.random() < 0.5:
        return image
    grey = luma(image[None])[0]
    image = torch.lerp(grey.expand_as(image), image, float(np.exp(rng.uniform(-0.8, 0.6))))
    return torch.lerp(grey.mean().expand_as(image), image, float(np.exp(rng.uniform(-0.4, 0.5)))).clamp(0, 1)


def batches(config: ReaderTrainConfig, crops: Crops, start: int, rank: int) -> Iterator[tuple[int, Tensor]]:
    """Steps start .. steps - 1 with this worker's share of each batch; it depends on (seed, step) alone."""
    size = config.batch // config.workers
    for step in range(start, config.steps):
        slots = range(rank * size, (rank + 1) * size)
        drawn = [crops(np.random.default_rng([config.seed, step, slot])) for slot in slots]
        yield step, torch.stack(drawn).to(config.device)


class Teacher:
    """VGG-16's feature maps, every channel in units of its root mean square over some crops."""

    def __init__(self, config: ReaderTrainConfig, crops: Crops):
        self.vgg = Vgg16(config.vgg).to(config.device)
        self.precision = partial(
            torch.autocast, config.device.split(":")[0], torch.bfloat16, enabled=config.bf16
        )
        self.units = [torch.ones(()) for _ in LAYERS]
        first = [self(crops(np.random.default_rng([1, i]))[None].to(config.device)) for i in range(_SAMPLES)]
        squares = [torch.stack([seen[i].square().mean((0, 2, 3)) for seen in first]).mean(0) for i in (0, 1)]
        units = [(s.sqrt() + 1e-3 * s.sqrt().mean())[:, None, None] for s in squares]
        described = ([statistics(x / u) for x, u in zip(seen, units, strict=True)] for seen in first)
        means, spreads = mean_and_spread(described)
        self.units, self.mean, self.spread = units, torch.cat(means), torch.cat(spreads)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[Tensor]:
        with self.precision():
            seen = self.vgg(images, LAYERS)
        return [seen[n].float() / u for n, u in zip(LAYERS, self.units, strict=True)]


def loss_terms(guess: list[Tensor], wanted: list[Tensor], spread: Tensor) -> dict[str, Tensor]:
    """Unweighted losses of feature maps (B, C, h, w) per layer: place by place, and of their statistics."""
    guess = [g.float() for g in guess]
    found, right = (torch.cat([statistics(x) for x in maps], 1) for maps in (guess, wanted))
    return {
        "places": torch.stack([F.mse_loss(g, w) for g, w in zip(guess, wanted, strict=True)]).mean(),
        "statistics": F.huber_loss(found / spread, right / spread, delta=2.0),
    }


def train(config: ReaderTrainConfig) -> Path:
    """Train and return the path of the released weights: a whole StyleRWKV, of which the reader is new."""
    if config.crop % 8:
        raise UsageError(f"crops of {config.crop} pixels must be multiples of 8")
    if config.batch % config.workers:
        raise UsageError(f"a batch of {config.batch} cannot be shared by {config.workers} workers")
    config.out.mkdir(parents=True, exist_ok=True)
    parallel.run(config.workers, _work, config)
    return config.out / RELEASE


def _work(rank: int, config: ReaderTrainConfig) -> None:
    """The loop of one worker. All workers hold the same weights; the first one writes files."""
    crops = Crops(list_images(config.images), config.crop)
    teacher = Teacher(config, crops)
    torch.manual_seed(config.seed)  # every worker begins with the same weights
    model = StyleRwkv(config.network)
    if config.warm_start:
        model.load_state_dict(load_network(config.warm_start).state_dict(), strict=False)
    reader = model.reader.to(config.device)
    reader.mean.copy_(teacher.mean)
    reader.spread.copy_(teacher.spread)
    parameters = list(reader.parameters())
    optimizer = torch.optim.Adam(parameters, lr=config.lr, betas=(0.9, 0.99))
    state = State(config.out / "checkpoint.safetensors", reader, optimizer, config.ema)
    if config.resume:
        state.load()
    began = time.monotonic() - state.seconds
    bar = tqdm(total=config.steps, initial=state.step, desc="reader", mininterval=10, disable=rank > 0)
    for step, images in batches(config, crops, state.step, rank):
        for group in optimizer.param_groups:
            group["lr"] = cosine(config.lr, step, config.steps, config.decay_from)
        wanted = teacher(images)
        with teacher.precision():
            guess = reader.features(images.contiguous(memory_format=torch.channels_last))
        terms = loss_terms(guess, wanted, teacher.spread)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        parallel.average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        state.finish_step(terms)
        bar.update()
        if rank:
            continue
        state.seconds = time.monotonic() - began
        if state.step % 50 == 0:
            state.log(config.out / "log.txt")
        if state.step % config.save_every == 0 or state.step == config.steps:
            record = {"config": config.record()}
            state.save(record)
            whole = model.state_dict() | {f"reader.{k}": v for k, v in state.averaged().items()}
            save_release(config.out / RELEASE, whole, config.network.to_json(), state.record(record), READING)
    bar.close()
