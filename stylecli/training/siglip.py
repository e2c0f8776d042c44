"""``stylize train siglip``: trains the text-image encoder in two phases.

First the text tower is distilled from a sentence encoder on generated phrases (:mod:`stylecli.training.distil`); then
the image tower learns, against the text tower as it stands, which captions belong to a picture
(:mod:`stylecli.training.contrast`). Each phase has a checkpoint of its own in the run's folder.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.errors import WeightsError
from stylecli.models.siglip import Siglip, SiglipConfig
from stylecli.training import checkpoint

log = logging.getLogger(__name__)


@dataclass
class SiglipTrainConfig:
    """Everything that decides a run; written into every checkpoint.

    Attributes:
        teacher: folder of the sentence encoder. data: folder of pictures with ``manifest.csv``. out: the run's folder.
        phrases: how many the text tower learns. entries: size of its vocabulary.
        text_steps, text_batch, text_lr, relation: length of the first phase, phrases per step, highest learning rate
            of AdamW, weight of the relational loss beside 1 - cosine.
        image_steps, image_batch, image_lr, crop: the same of the second phase, and the side of a crop in pixels.
        captions: how many captions of each picture take part in a step.
        resume: continue from ``out`` where there is a checkpoint.
    """

    teacher: Path
    data: Path
    out: Path = Path("runs/siglip")
    phrases: int = 150_000
    entries: int = 8_000
    text_steps: int = 2_900
    text_batch: int = 384
    text_lr: float = 1.5e-3
    relation: float = 5.0
    image_steps: int = 1_400
    image_batch: int = 48
    image_lr: float = 2e-3
    crop: int = 96
    captions: int = 3
    seed: int = 0
    device: str = "cpu"
    save_every: int = 250
    resume: bool = True
    network: SiglipConfig = field(default_factory=SiglipConfig)

    def record(self) -> dict[str, Any]:
        values: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        values["network"].pop("vocabulary")  # long, and in the network's own configuration
        return values


class Phase(Protocol):
    """One of the two trainings, as the loop sees it."""

    name: str
    steps: int
    lr: float

    @property
    def module(self) -> nn.Module:
        """What it trains."""
        ...

    def terms(self, step: int) -> dict[str, Tensor]:
        """Weighted losses of a batch that depends on (seed, step) alone, so that a resumed run is exact."""
        ...


def learning_rate(highest: float, step: int, steps: int) -> float:
    """Linear warm-up over 100 steps or a tenth of the run, then a cosine down to zero."""
    return (
        highest
        * min(1.0, (step + 1) / min(100, steps / 10 + 1))
        * 0.5
        * (1 + math.cos(math.pi * step / steps))
    )


def train(config: SiglipTrainConfig) -> Path:
    """Train and return the path of the released weights. Interrupting is safe: a later call resumes exactly."""
    from stylecli.training.contrast import Contrast
    from stylecli.training.distil import Distillation

    config.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    first = Distillation(config)
    done = run_phase(first, config)
    model = first.finish()
    release(model, config, {"text": done | first.report(model)})
    second = Contrast(model, config)
    record = {"text": done | first.report(model), "image": run_phase(second, config)}
    record["image"] |= second.report()
    return release(model, config, record)


def release(model: Siglip, config: SiglipTrainConfig, record: dict[str, Any]) -> Path:
    """Write the weights as they are now, with a record of how they came about."""
    path = config.out / checkpoint.RELEASE
    training = {"config": config.record(), **record}
    checkpoint.save_release(path, model.state_dict(), model.config.to_json(), training)
    return path


def run_phase(phase: Phase, config: SiglipTrainConfig) -> dict[str, Any]:
    """Train to the end of the phase, from its checkpoint where there is one; what it cost."""
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in phase.module.parameters() if p.ndim > 1], "weight_decay": 0.02},
            {"params": [p for p in phase.module.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=phase.lr,
        betas=(0.9, 0.98),
    )
    path = config.out / f"{phase.name}.safetensors"
    step, seconds = 0, 0.0
    if config.resume and path.exists():
        step, seconds = _load(path, phase.module, optimizer)
        log.info("%s: resuming at step %d", phase.name, step)
    began = time.monotonic() - seconds
    running: dict[str, float] = {}
    bar = tqdm(total=phase.steps, initial=step, desc=phase.name, mininterval=10)
    phase.module.train()
    while step < phase.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(phase.lr, step, phase.steps)
        terms = phase.terms(step)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(phase.module.parameters(), 1.0)
        optimizer.step()
        step += 1
        bar.update()
        for name, value in terms.items():
            v = float(value.detach())
            running[name] = running.get(name, v) * 0.95 + v * 0.05
        seconds = time.monotonic() - began
        if step % 50 == 0:
            line = " ".join(f"{k} {v:.4f}" for k, v in running.items())
            with (config.out / "log.txt").open("a") as file:
                file.write(f"{phase.name} {step} {seconds:.0f}s {line}\n")
        if step % config.save_every == 0 or step == phase.steps:
            tensors = {f"model.{k}": v for k, v in phase.module.state_dict().items()}
            tensors |= {f"adam.{k}": v for k, v in checkpoint.optimizer_tensors(optimizer).items()}
            checkpoint.save_checkpoint(path, tensors, {"step": step, "seconds": seconds})
    bar.close()
    phase.module.eval()
    return {"steps": step, "seconds": round(seconds)}


def _load(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    tensors, record = checkpoint.load_checkpoint(path)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "adam": {}}
    for name, value in tensors.items():
        part, key = name.split(".", 1)
        parts[part][key] = value
    try:
        module.load_state_dict(parts["model"])
    except RuntimeError:
        raise WeightsError(f"{path}: of another network; take it away or use --fresh") from None
    checkpoint.restore_optimizer(optimizer, parts["adam"])
    return record["step"], record["seconds"]
