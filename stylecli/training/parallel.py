"""Data-parallel training on the cores of one machine: one process a core.

Small networks at small crops spend much of a step in waking threads up; processes with one thread each meet only
once a step, to average gradients. Measured on two cores: 0.62 s against 0.9-1.0 s for a step of four pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn


def run(workers: int, function: Callable[..., None], *args: Any) -> None:
    """Call ``function(rank, *args)`` in ``workers`` processes (here, if it is one) and wait for all of them."""
    if workers == 1:
        function(0, *args)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        spawn(_join, (workers, meeting, function, args), nprocs=workers)


def _join(
    rank: int, workers: int, meeting: str, function: Callable[..., None], args: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=workers)
    try:
        function(rank, *args)
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the workers."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
