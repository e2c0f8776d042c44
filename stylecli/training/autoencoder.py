"""``stylize train autoencoder``: trains the KL auto-encoder on folders of pictures of any kind.

Loss: absolute difference of pixels and of their differences to neighbours (sharp edges), and a light KL term
(arXiv 1312.6114; weight as in arXiv 2112.10752) that keeps latents near N(0, 1), where StyleMamba works.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.registry import load_network
from stylecli.training import parallel
from stylecli.training.checkpoint import RELEASE, State
from stylecli.training.data import ContentCrops, centre_square, list_images, read_rgb, to_tensor
from stylecli.training.lessons import Teacher
from stylecli.training.losses import pixel_terms
from stylecli.training.schedule import cosine


@dataclass
class AutoencoderTraining:
    """Everything that decides a run; written into every checkpoint.

    Attributes:
        images: folders of pictures. val: pictures whose PSNR is measured and logged.
        steps, batch, crop: length of the run, pictures per step, side of a crop (multiple of 4).
        lr, decay_from: Adam's learning rate, and the share of the run after which it falls (cosine).
        kl_weight, edge_weight, latent_weight: weights of the losses beside the absolute difference.
        teacher: files of the auto-encoder, StyleMamba and SigLIP that it is to fit (see :mod:`.lessons`), if any.
        workers: processes of one thread each that share a batch.
    """

    images: list[Path]
    out: Path = Path("runs/autoencoder")
    val: list[Path] = field(default_factory=list)
    steps: int = 6000
    batch: int = 8
    crop: int = 128
    lr: float = 2e-3
    decay_from: float = 0.3
    kl_weight: float = 1e-4
    edge_weight: float = 1.0
    latent_weight: float = 0.3
    teacher: tuple[Path, Path, Path] | None = None
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    save_every: int = 500
    warm_start: Path | None = None
    resume: bool = True
    network: AutoencoderConfig = field(default_factory=AutoencoderConfig)

    @property
    def loss_weights(self) -> dict[str, float]:
        return {
            "absolute": 1.0,
            "edges": self.edge_weight,
            "kl": self.kl_weight,
            "latent": self.latent_weight,
            "spread": 0.1 * self.latent_weight,
        }

    def record(self) -> dict[str, object]:
        return {k: str(v) if isinstance(v, Path | list | tuple) else v for k, v in asdict(self).items()}


def loss_terms(model: Autoencoder, image: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Unweighted losses of a batch of pictures (B, 3, H, W) in 0..1, taken apart and put together again."""
    mean, log_variance = model.encoder(image)
    noise = torch.randn(mean.shape, generator=generator).to(mean)
    output = model.decoder(mean + noise * (0.5 * log_variance).exp())
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return {**pixel_terms(output, image), "kl": kl}


@torch.no_grad()
def psnr(output: Tensor, image: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels of pictures in 0..1."""
    return float(-10 * (output.clamp(0, 1) - image).square().mean().clamp(min=1e-10).log10())


@torch.inference_mode()
def validate(model: Autoencoder, folders: list[Path], size: int = 512) -> float:
    """Mean PSNR over every picture of the folders, scaled to size x size."""
    scores = []
    for path in list_images(folders):
        x = to_tensor(centre_square(read_rgb(path), size))[None]
        x = x.to(next(model.parameters()).device)
        scores.append(psnr(model.decode(model.encode(x)), x))
    return float(np.mean(scores))


def train(config: AutoencoderTraining) -> Path:
    """Train and return the path of the released weights. Interrupting is safe: a later call resumes exactly."""
    if config.crop % 4 or config.batch % config.workers:
        raise UsageError(
            f"crops of {config.crop} pixels must be a multiple of 4, batches of {config.batch} "
            f"one of {config.workers} workers"
        )
    list_images(config.images)
    config.out.mkdir(parents=True, exist_ok=True)
    parallel.run(config.workers, _work, config)
    return config.out / RELEASE


def _work(rank: int, config: AutoencoderTraining) -> None:
    """The loop of one worker. All workers hold the same weights; the first one writes files."""
    torch.manual_seed(config.seed)
    model = Autoencoder(config.network).to(config.device)
    crops = ContentCrops(list_images(config.images), config.crop)
    if config.warm_start:
        known = load_network(config.warm_start, "autoencoder").state_dict()
        model.load_state_dict({k: known.get(k, v) for k, v in model.state_dict().items()})
    else:
        chosen = np.random.default_rng(config.seed).integers(0, len(crops), 300)
        model.begin_with(torch.stack([crops[int(i)] for i in chosen]).to(config.device))
    teacher = Teacher(*config.teacher, config.device) if config.teacher else None
    weights = config.loss_weights
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.99))
    state = State(config.out / "checkpoint.safetensors", model, optimizer, config.ema)
    if config.resume:
        state.load()
    began = time.monotonic() - state.seconds
    size = config.batch // config.workers
    bar = tqdm(total=config.steps, initial=state.step, desc="auto-encoder", mininterval=10, disable=rank > 0)
    while state.step < config.steps:
        rng = np.random.default_rng([config.seed, state.step, rank])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        chosen = rng.integers(0, len(crops), size)
        image = torch.stack([crops[int(i)] for i in chosen]).to(config.device)
        for group in optimizer.param_groups:
            group["lr"] = cosine(config.lr, state.step, config.steps, config.decay_from)
        terms = teacher.terms(model, image, rng) if teacher else loss_terms(model, image, generator)
        loss = torch.stack([weights[k] * v for k, v in terms.items()]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parallel.average_gradients(model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state.finish_step(terms)
        bar.update()
        if rank == 0 and (state.step % config.save_every == 0 or state.step == config.steps):
            state.seconds = time.monotonic() - began
            record: dict[str, Any] = {"config": config.record()}
            if config.val:
                averaged = Autoencoder(config.network).to(config.device)
                averaged.load_state_dict(state.ema.values)
                record["psnr"] = round(validate(averaged, config.val), 2)
            state.log(config.out / "log.txt", f"psnr {record.get('psnr', '-')}")
            state.save(record)
            state.release(config.out / RELEASE, config.network.to_json(), record)
    bar.close()
