"""What a network computes of a style alone, kept for the next picture in that style."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from stylecli.ops import gradients
from stylecli.ops.held import held

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class _Entry:
    # Held, so that nothing else can be taken for one of them: the weights' numbers, too, wherever these lie by now.
    inputs: tuple[Tensor | None, ...]
    weights: list[Tensor]
    state: Hashable
    stream: int | None
    made: Any


_MOST = 4  # styles: each picture of a folder may be painted in several


class Kept:
    """The last results of a function of some tensors and of weights that do not learn.

    Inputs are told apart as objects, never by their numbers, which a graphics card would have to be waited for. What
    is made while a CUDA graph is recorded is not kept: there are no numbers in it before the graph is replayed.
    """

    def __init__(self) -> None:
        self._entries: tuple[
            _Entry, ...
        ] = ()  # the last one asked for first; never changed, for threads share it

    def __deepcopy__(self, memo: object) -> Kept:
        return Kept()

    def get(
        self,
        make: Callable[[], _Made],
        inputs: Sequence[Tensor | None],
        weights: Iterable[Tensor],
        *more: Hashable,
    ) -> _Made:
        """What ``make`` returns, or returned when it was last asked for the same. Nobody may change it.

        Args:
            inputs: tensors that it depends on. weights: likewise, told apart by where they lie in memory.
            more: what else it depends on.
        """
        there, weights = [t for t in inputs if t is not None], list(weights)
        if any(w.requires_grad for w in weights) or _is_special(there):
            return make()
        first = (*there, *weights)[0]
        recording = first.is_cuda and torch.cuda.is_current_stream_capturing()
        stream = torch.cuda.current_stream(first.device).cuda_stream if first.is_cuda else None
        at = [(w.data_ptr(), w.dtype, _version(w)) for w in weights]
        state = (torch.is_inference_mode_enabled(), *map(_version, there), *at, *more)
        entries = self._entries
        for place, entry in enumerate(entries):
            if (
                len(entry.inputs) == len(inputs)
                and all(a is b for a, b in zip(entry.inputs, inputs, strict=True))
                and entry.state == state
                and (recording or entry.stream == stream)  # what another stream makes may not be there yet
            ):
                if place:
                    self._entries = (entry, *entries[:place], *entries[place + 1 :])
                return held(entry.made)  # type: ignore[no-any-return]
        made = make()
        if not recording:
            numbers = [w.detach() for w in weights]
            self._entries = (_Entry(tuple(inputs), numbers, state, stream, made), *entries[: _MOST - 1])
        return made


def _is_special(inputs: list[Tensor]) -> bool:
    """Whether this call is not one of many alike: it is to have gradients, to be exported, or autocast."""
    if gradients.wanted(*inputs):
        return True
    autocast = torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")
    return autocast or torch.compiler.is_exporting()


def _version(tensor: Tensor) -> int:
    """Rises when it is changed; inference tensors have none, and nobody changes those that are kept."""
    return 0 if tensor.is_inference() else tensor._version
