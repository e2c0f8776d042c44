"""Calls into the compiled library of ``kernels/``: which tensors it takes and how they get there."""

from __future__ import annotations

import ctypes
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stylecli.ops import build, gradients, proof

_CPU = torch.device("cpu")
Given = TypeVar("Given", Tensor, Tensor | None)


def usable(operator: str, *tensors: Tensor | None) -> bool:
    """Whether the operator has a compiled kernel, proven here, that takes these tensors: any CPU float type but
    float64."""
    present = [t for t in tensors if t is not None]
    fits = all(t.device.type == "cpu" and t.is_floating_point() and t.dtype != torch.float64 for t in present)
    return fits and proof.allows(operator, _CPU) and build.load() is not None


def takes_float32(operator: str, *tensors: Tensor | None) -> bool:
    """The same for kernels that know float32 alone."""
    return all(t is None or t.dtype == torch.float32 for t in tensors) and usable(operator, *tensors)


def paints(operator: str, *tensors: Tensor | None) -> bool:
    """Whether a kernel that is for painting alone computes these: float32, and nobody wants gradients. Not under
    autocast, which makes the products that some of them take bfloat16."""
    present = [t for t in tensors if t is not None]
    if torch.is_autocast_enabled("cpu"):
        return False
    return (
        not gradients.wanted(*present)
        and not any(t.is_meta for t in present)
        and takes_float32(operator, *present)
    )


def storage(*tensors: Tensor | None) -> torch.dtype:
    """The number format in which the kernels read and write large tensors: bfloat16 if all are, else float32."""
    same = all(t.dtype == torch.bfloat16 for t in tensors if t is not None)
    return torch.bfloat16 if same else torch.float32


def stored(dtype: torch.dtype, *tensors: Given) -> tuple[Given, ...]:
    """Contiguous tensors of that format; no copy where they are already. None stays None."""
    return tuple(t if t is None else t.to(dtype).contiguous() for t in tensors)


def call(
    name: str, dtype: torch.dtype | npt.DTypeLike, *arguments: Tensor | npt.NDArray[Any] | int | float | None
) -> None:
    """``stylecli_<name>_<dtype>(arguments..., threads)``; an int is int64, a float is double, None a null pointer."""
    library = build.load()
    assert library is not None
    function = getattr(library, f"stylecli_{name}_{str(dtype).removeprefix('torch.')}")
    function.restype = None
    function(*map(_argument, arguments), ctypes.c_int(torch.get_num_threads()))


def _argument(
    value: Tensor | npt.NDArray[Any] | int | float | None,
) -> ctypes.c_int64 | ctypes.c_double | ctypes.c_void_p:
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_void_p(None if value is None else value.data_ptr())
