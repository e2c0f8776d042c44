"""From a weights file to a module."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stylecli.errors import OutOfMemoryError, WeightsError, is_out_of_memory
from stylecli.models.packing import unpack
from stylecli.weights.identity import read

Module = TypeVar("Module", bound=nn.Module)


class _NoMoreThan(TorchFunctionMode):
    """Within: tensors are made while they would fit a network of about the size of those in a file. A configuration
    may ask for more than any memory holds, and asking takes no more than a few bytes."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._left = (1 << 20) + 2 * sum(tensor.numel() for tensor in tensors.values())

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _MAKERS and args:
            sizes = args[0] if isinstance(args[0], Sequence) else args
            self._left -= math.prod(size for size in sizes if isinstance(size, int))
            if self._left < 0:
                raise ValueError("its configuration describes a larger network than the file holds")
        return func(*args, **(kwargs or {}))


_MAKERS = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})


def _brief(error: Exception) -> str:
    """One line, also of an error that says nothing."""
    if isinstance(error, RecursionError):
        return "its configuration is nested too deeply"
    return next(iter(str(error).splitlines()), type(error).__name__).strip().rstrip(":")


def load_module(path: Path, kind: str, build: Callable[[str], Module]) -> Module:
    """Build a network from safetensors with the configuration (JSON) in their metadata; in eval mode, fixed, float32.

    Raises:
        WeightsError: the file cannot be read or is of another architecture. OutOfMemoryError.
    """
    identity, data = read(path)
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise WeightsError(f"{path}: weights cannot be read ({str(error).splitlines()[0]})") from None
    if identity.config is None:
        raise WeightsError(
            f"{path}: no configuration in the file's metadata; was it written by stylize train?"
        )
    try:
        # Not on the device "meta": its arithmetic imports torch's compiler, which takes a hundred times longer than
        # initialising such small networks. The caller's random numbers stay as they were.
        with (
            torch.random.fork_rng(devices=()),
            _NoMoreThan(tensors),
            warnings.catch_warnings(action="ignore"),
        ):
            module = build(identity.config)
        weights = unpack(tensors)
        module.load_state_dict(weights, assign=True)
    except (
        TypeError,
        ValueError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
        MemoryError,
    ) as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(f"{path.name}: not enough memory to load it") from None
        raise WeightsError(f"{path}: not weights of {kind} ({_brief(error)})") from None
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"{path}: damaged weights: {name} holds values that are no numbers")
    return module.eval().requires_grad_(False)
