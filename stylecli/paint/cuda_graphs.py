"""Painting as a CUDA graph: hundreds of small kernels, begun as one.

A card paints a frame in less time than Python takes to say what is to be computed. What is painted again and again in
one style and size (frames of a film, pictures of a folder) is recorded the second time and replayed from then on
(https://pytorch.org/docs/stable/notes/cuda.html, whole-network capture). Used where the device's proof saw replays
agree with plain calls (:mod:`stylecli.ops.proof`).
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecli.ops import proof
from stylecli.ops.held import held_in
from stylecli.ops.prover import CUDA_GRAPH

log = logging.getLogger(__name__)

_MOST = 2  # kept by one thread; each holds the memory of a painting
_PIXELS = 1 << 21  # of a picture; a larger one keeps the card busy by itself

Paint = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recording:
    """A painting (B, 3, H, W) that is made anew from what lies in ``content`` whenever ``replay`` is called."""

    content: Tensor
    painted: Tensor
    replay: Callable[[], None]
    held: Any = None  # what the graph reads besides must stay

    def __call__(self, content: Tensor) -> Tensor:
        self.content.copy_(content)
        self.replay()
        return self.painted.clone()  # the next replay writes there again


def record(paint: Paint, content: Tensor) -> Recording:
    """Record the painting of pictures like this one, which was painted before. Raises RuntimeError where torch
    cannot."""
    content, graph, kept = content.clone(), torch.cuda.CUDAGraph(), list[Any]()
    # Other threads go on: one of them may be sending and fetching pictures.
    with held_in(kept), torch.cuda.graph(graph, capture_error_mode="thread_local"):
        painted = paint(content)
    return Recording(content, painted, graph.replay, (graph, kept, paint))


class Recordings:
    """Those of one thread, for whose stream they are: by key, the last ones used."""

    def __init__(self, record: Callable[[Paint, Tensor], Recording] = record):
        self._record = record
        self._kept: OrderedDict[Hashable, Recording | None] = OrderedDict()
        self._last: Hashable = None

    def paint(self, paint: Paint, content: Tensor, key: Hashable) -> Tensor:
        """What ``paint`` makes of pictures (B, 3, H, W). ``key`` stands for all else that the painting depends on."""
        key = (key, content.shape, content.dtype, content.device)
        if key not in self._kept:
            if key != self._last:  # most pictures of a folder differ in size: once is not again and again
                self._last = key
                return paint(content)
            self._kept[key] = self._recorded(paint, content)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        recording = self._kept[key]
        return paint(content) if recording is None else recording(content)

    def _recorded(self, paint: Paint, content: Tensor) -> Recording | None:
        try:
            return self._record(paint, content)
        except RuntimeError as error:  # out of memory is one, too
            log.info(
                "no CUDA graph of a painting, which takes longer without (%s)", str(error).splitlines()[0]
            )
            return None


_own = threading.local()


def painted(paint: Paint, content: Tensor, key: Hashable) -> Tensor:
    """What ``paint`` makes of pictures (B, 3, H, W) on any device, by a CUDA graph where that was proven and pays."""
    few = content.shape[2] * content.shape[3] <= _PIXELS
    if content.device.type != "cuda" or not few or not proof.allows(CUDA_GRAPH, content.device):
        return paint(content)
    if not hasattr(_own, "recordings"):
        _own.recordings = Recordings()
    return _own.recordings.paint(paint, content, key)  # type: ignore[no-any-return]
