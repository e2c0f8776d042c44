"""The training loop of all networks.

What a step is made of comes from a task (:mod:`stylecli.training.tasks`), every setting from a recipe
(:mod:`stylecli.training.recipe`). Here: optimizer and its rate, mixed precision, gradients shared among workers, their
clipping, the moving average of the weights, log, checkpoints and releases.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from stylecli.devices import choose_device, has_fast_bf16
from stylecli.errors import UsageError, WeightsError
from stylecli.files.atomic import remove_stale_temporaries
from stylecli.interrupt import one_ctrl_c
from stylecli.memory import give_back
from stylecli.models.registry import training_record
from stylecli.training import checkpoint, parallel
from stylecli.training.parallel import Worker
from stylecli.training.recipe import Recipe, difference
from stylecli.training.schedule import rate
from stylecli.training.tasks import find_task
from stylecli.training.tasks.task import TrainingTask

log = logging.getLogger(__name__)

_LOG_EVERY = 50  # steps
_SMOOTH = 0.02  # share of a step in the losses that are logged


def train(recipe: Recipe, out: Path, fresh: bool = False) -> Path:
    """Train and return the path of the released weights.

    Interrupting is safe: a later call goes on from the last checkpoint in ``out``, to the same result. ``fresh``
    begins anew. Raises UsageError where the checkpoint is of another recipe, or whatever the task raises; one line.
    """
    kept = out / checkpoint.CHECKPOINT
    if not find_task(recipe.task).shares_batch and recipe.workers > 1:
        raise UsageError(f"{recipe.name}: workers = {recipe.workers}: {recipe.task} takes a single one")
    device = _device(recipe)
    workers = parallel.workers(recipe.workers, device, _bf16(recipe, device))
    if kept.exists() and not fresh:
        changed = difference(checkpoint.load_record(kept).get("recipe", {}), recipe.table)
        if changed:
            raise UsageError(
                f"{recipe.name}: {kept} is of another recipe: {changed}; take --fresh or another --out"
            )
    out.mkdir(parents=True, exist_ok=True)
    remove_stale_temporaries(out)  # of a run that was killed
    if fresh:
        kept.unlink(missing_ok=True)
    parallel.run(workers, _work, recipe, out)
    return out / checkpoint.RELEASE


def _device(recipe: Recipe) -> torch.device:
    """``auto``: a CUDA device if there is one. Raises UsageError for a device that is not there."""
    if recipe.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return choose_device(recipe.device)


def _bf16(recipe: Recipe, device: torch.device) -> bool:
    """Whether to train in mixed precision; ``auto``: where the processor computes in bfloat16."""
    if recipe.dtype not in ("auto", "fp32", "bf16"):
        raise UsageError(f"{recipe.name}: dtype = {recipe.dtype!r}: choose auto, fp32 or bf16")
    fast = (
        torch.cuda.is_bf16_supported(False)
        if device.type == "cuda"
        else device.type == "cpu" and has_fast_bf16()
    )
    return recipe.dtype == "bf16" or (recipe.dtype == "auto" and fast)


class _Losses(nn.Module):
    """A task's losses as a module, for DistributedDataParallel: step to their weighted sum, and each by itself."""

    def __init__(self, task: TrainingTask):
        super().__init__()
        self.task, self.learning = task, task.module

    def forward(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        batch = self.task.batch(step)
        with self.task.worker.precision():
            terms = {name: value.float() for name, value in self.task.terms(batch, step).items()}
        weighted = [weight * terms[name] for name, weight in self.task.weights.items()]
        return torch.stack(weighted).sum(), {name: value.detach() for name, value in terms.items()}


def _work(worker: Worker, recipe: Recipe, out: Path) -> None:
    """One worker. A single one ends a step that is interrupted, by Ctrl-C or as timeout(1) does it, and saves all."""
    if worker.count > 1:
        _loop(worker, recipe, out, threading.Event())
        return
    with one_ctrl_c("completing this step and saving it", (signal.SIGINT, signal.SIGTERM)) as stop:
        _loop(worker, recipe, out, stop)


def _loop(worker: Worker, recipe: Recipe, out: Path, stop: threading.Event) -> None:
    """All workers hold the same weights; the first one writes files. Raises KeyboardInterrupt after the step in which
    ``stop`` is set."""
    began = time.monotonic()
    torch.manual_seed(recipe.seed)
    task = find_task(recipe.task)(recipe, worker, out)
    _freeze(task.module, recipe)
    run = _Run(task, recipe, out)
    before = run.seconds
    losses: nn.Module = _Losses(task)
    if worker.count > 1:
        losses = DistributedDataParallel(losses, forward_sync_buffers=False)
    bar = tqdm(
        total=recipe.steps, initial=run.step, desc=recipe.task, mininterval=10, disable=worker.rank > 0
    )
    for step in range(run.step, recipe.steps):
        share = max(step / recipe.steps, run.share_of_time)
        if share >= 1:
            break
        for group in run.optimizer.param_groups:
            group["lr"] = group["share"] * rate(recipe.optimizer, step, share)
        loss, terms = losses(step)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(task.module.parameters(), recipe.optimizer.clip)
        run.optimizer.step()
        run.finish_step(terms)
        bar.update()
        run.seconds = time.monotonic() - began + before
        if worker.rank == 0:
            run.write(run.step == recipe.steps or run.share_of_time >= 1 or stop.is_set())
        if stop.is_set():
            bar.close()
            raise KeyboardInterrupt
    bar.close()


class _Run:
    """What a run is made of besides its task: optimizer, moving average, step, time spent; and its files."""

    def __init__(self, task: TrainingTask, recipe: Recipe, out: Path):
        self.task, self.recipe, self.out = task, recipe, out
        self.step, self.seconds = 0, 0.0
        self.running: dict[str, Tensor] = {}
        path = out / checkpoint.CHECKPOINT
        resumed = path.exists()
        if not resumed:
            task.begin()
        settings = recipe.optimizer
        groups = [
            {"params": chosen, "share": share, "weight_decay": settings.weight_decay if wide else 0.0}
            for share, parameters in task.groups()
            for wide in (True, False)
            if (chosen := [p for p in parameters if (p.ndim > 1) == wide])
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.lr, betas=settings.betas, fused=task.worker.device.type == "cuda" or None
        )
        self.averaged = AveragedModel(
            task.module, multi_avg_fn=_moving_average(recipe.ema, lambda: self.step - 1)
        )
        self.averaged.requires_grad_(False).eval()
        if resumed:
            self._load(path)
        task.module.train()

    def _load(self, path: Path) -> None:
        parts, record = checkpoint.load_checkpoint(path)
        try:
            self.task.module.load_state_dict(parts["model"])
            self.averaged.load_state_dict(parts["ema"])
            checkpoint.restore_optimizer(self.optimizer, parts.get("adam", {}))
        except (RuntimeError, KeyError, ValueError):
            raise WeightsError(f"{path}: of another network; take it away or use --fresh") from None
        self.step, self.seconds = record["step"], record["seconds"]
        log.info("%s: resuming at step %d", self.recipe.task, self.step)

    def finish_step(self, terms: dict[str, Tensor]) -> None:
        """Count a step, and let it into the averages of weights and losses."""
        self.step += 1
        if self.step % _LOG_EVERY == 0:
            give_back()  # what is kept of pictures lies scattered among what steps free: 10 GB after 600 steps
        self.averaged.update_parameters(self.task.module)
        for name, value in terms.items():
            self.running[name] = torch.lerp(self.running.get(name, value), value, _SMOOTH)

    @property
    def share_of_time(self) -> float:
        """How much of the recipe's time is over."""
        return self.seconds / (60 * self.recipe.minutes) if self.recipe.minutes else 0.0

    def write(self, last: bool) -> None:
        """Whatever is due at this step, and at the last one: a line of the log, a checkpoint, weights and a sheet."""
        if last or self.step % _LOG_EVERY == 0:
            self._log({name: float(value) for name, value in self.running.items()})
        if last or self.step % self.recipe.release_every == 0:
            self._release()
        if last or self.step % self.recipe.save_every == 0:
            parts = {
                "model": self.task.module.state_dict(),
                "ema": self.averaged.state_dict(),
                "adam": checkpoint.optimizer_tensors(self.optimizer),
            }
            checkpoint.save_checkpoint(self.out / checkpoint.CHECKPOINT, parts, self._record())

    def _record(self) -> dict[str, object]:
        return {"recipe": self.recipe.table, "step": self.step, "seconds": round(self.seconds, 1)}

    def _log(self, figures: dict[str, float]) -> None:
        line = " ".join(f"{name} {value:.4f}" for name, value in figures.items())
        with (self.out / "log.txt").open("a") as file:
            file.write(f"{self.step} {self.seconds:.0f}s {line}\n")

    def _release(self) -> None:
        averaged: nn.Module = self.averaged.module
        record = self._record()
        if self.recipe.warm_start:  # how that came about
            record["warm_start"] = training_record(self.recipe.weights(self.recipe.warm_start))
        with torch.no_grad():
            for made in self.task.releases(averaged):
                training = {**record, **made.measured}
                checkpoint.save_release(
                    self.out / made.file, made.weights, made.config, training, made.eight_bits
                )
                if made.measured:
                    self._log(made.measured)
            self.task.sheet(averaged, self.out / f"sheet-{self.step:06d}.png")


def _moving_average(decay: float, steps: Callable[[], int]):  # type: ignore[no-untyped-def]
    """Exponential moving average with a short memory at first; torch's own has one decay for all of the run.

    ``steps``: how many were averaged so far. torch's own count lies on the graphics card, which would have to be waited
    for."""

    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + steps()) / (10 + steps())))(averaged, current, count)

    return update


def _freeze(module: nn.Module, recipe: Recipe) -> None:
    for beginning in recipe.freeze:
        found = [p for name, p in module.named_parameters() if name.startswith(beginning)]
        if not found:
            raise UsageError(
                f"{recipe.name}: freeze: no parameter of {recipe.task} begins with {beginning!r}"
            )
        for parameter in found:
            parameter.requires_grad_(False)
    if not any(p.requires_grad for p in module.parameters()):
        raise UsageError(f"{recipe.name}: freeze leaves nothing to learn")
