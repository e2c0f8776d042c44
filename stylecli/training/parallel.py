"""Data-parallel training on one machine: a process for each core, or for each graphics card.

Small networks at small crops spend much of a step in waking threads up; processes with one thread each meet only
once a step, to average gradients. Measured on two cores: 0.62 s against 0.9-1.0 s for a step of four pictures.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessException, spawn

from stylecli.errors import StylizeError, UsageError


@dataclass(frozen=True)
class Worker:
    """One of ``count`` processes that share a batch; where it computes, and whether in mixed precision."""

    rank: int
    count: int
    device: torch.device
    bf16: bool = False

    def places(self, batch: int) -> range:
        """Its places in a batch."""
        size = batch // self.count
        return range(self.rank * size, (self.rank + 1) * size)

    def precision(self) -> torch.autocast:
        """Of networks that learn, and of those that they learn from."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Worker 0 goes through the block before the others do: what it keeps in a file they find there."""
        if self.rank and self.count > 1:
            dist.barrier()
        yield
        if not self.rank and self.count > 1:
            dist.barrier()


def workers(count: int, device: torch.device, bf16: bool) -> list[Worker]:
    """Workers of one machine. Raises UsageError where it has too few graphics cards."""
    if device.type == "cpu" or count == 1:
        return [Worker(rank, count, device, bf16) for rank in range(count)]
    if device.type != "cuda" or count > torch.cuda.device_count():
        raise UsageError(f"workers = {count}: there are {torch.cuda.device_count()} CUDA devices")
    return [Worker(rank, count, torch.device("cuda", rank), bf16) for rank in range(count)]


def run(workers: list[Worker], function: Callable[..., None], *args: Any) -> None:
    """Call ``function(worker, *args)`` in a process for each (here, if there is one) and wait for all of them."""
    if len(workers) == 1:
        function(workers[0], *args)
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(_join, (workers, folder, function, args), nprocs=len(workers))
        except ProcessException:
            for kept in Path(folder).glob("error-*"):
                raise pickle.loads(kept.read_bytes()) from None
            raise


def _join(rank: int, workers: list[Worker], folder: str, function: Callable[..., None], args: Any) -> None:
    worker = workers[rank]
    if worker.device.type == "cuda":
        torch.cuda.set_device(worker.device)
    else:
        torch.set_num_threads(1)
    meeting = (Path(folder) / "meeting").as_uri()
    backend = "nccl" if worker.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=worker.count)
    try:
        function(worker, *args)
    except StylizeError as error:  # one line, which the parent says
        (Path(folder) / f"error-{rank}").write_bytes(pickle.dumps(error))
        raise
    finally:
        dist.destroy_process_group()
