"""The two large parts of a painter's step as CUDA graphs: thousands of small kernels, begun as one.

A card computes a step of a small network in less time than Python takes to say what is to be computed; recorded once,
nothing has to be said again (https://pytorch.org/docs/stable/notes/cuda.html, whole-network capture).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from stylecli.training.tasks.painting import PaintingTask


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """``paint`` and ``compare`` of a task for batches of one size, both with their gradients."""

    paint: Callable[..., tuple[Tensor, ...]]
    compare: Callable[..., Tensor]


class _Painting(nn.Module):
    """A task's painting as a module, so that its parameters get gradients."""

    def __init__(self, task: PaintingTask):
        super().__init__()
        self.task, self.learning = task, task.module

    def forward(self, content: Tensor, style: Tensor) -> tuple[Tensor, ...]:
        with _uncached(self.task):
            return tuple(x.float() for x in self.task.paint(content, style, None))


def record(task: PaintingTask, style: Tensor, inputs: Sequence[Tensor]) -> Recorded:
    """Record a task's step on batches like this one: style vectors (B, S), and what is handed to ``compare`` besides
    the paintings, the photographs first. Where torch cannot, the step is said anew every time."""

    def compare(output: Tensor, *others: Tensor) -> Tensor:
        with _uncached(task):
            return task.compare(output, *others)

    content = inputs[0]
    output = content.clone().requires_grad_()  # stands in for a painting
    parts: Any = (_Painting(task), compare)
    samples = ((content.clone(), style.clone()), (output, *(x.clone() for x in inputs)))
    try:
        # torch refuses where autocast keeps weights, as it does around a step.
        with torch.autocast(task.worker.device.type, enabled=False):
            parts = torch.cuda.make_graphed_callables(parts, samples, allow_unused_input=True)
    except RuntimeError as error:
        log.warning("no CUDA graph of a step, which takes longer without (%s)", str(error).splitlines()[0])
    return Recorded(*parts)


def _uncached(task: PaintingTask) -> torch.autocast:
    """Weights in another precision are made in the graph, not outside of it."""
    worker = task.worker
    return torch.autocast(worker.device.type, torch.bfloat16, enabled=worker.bf16, cache_enabled=False)
