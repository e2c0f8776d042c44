"""The compiled kernels of graphics cards: compiled by NVRTC at first use, launched through the driver with ctypes.

One module for each operator, card and storage type. Where it cannot be had, ``load`` returns None and the torch path
computes the same. Nothing here runs at import, and nothing needs a card until a CUDA tensor comes along.
"""

from __future__ import annotations

import ctypes
import logging
import struct
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylecli import __version__
from stylecli.ops import build, cache, nvrtc, proof
from stylecli.ops.cache import BuildError
from stylecli.ops.kernel_mode import VARIABLE, kernels_wanted

log = logging.getLogger(__name__)

STORAGE = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
MAX_BLOCKS = 2**31 - 1  # in a grid's first dimension; 65,535 in the others


class Kernels:
    """One operator's kernels, loaded on one card."""

    def __init__(self, code: bytes, device: int) -> None:
        self._device = device
        self._context = ctypes.c_void_p()
        self._module = ctypes.c_void_p()
        self._functions: dict[str, ctypes.c_void_p] = {}
        torch.cuda.init()
        handle = ctypes.c_int()
        _check(_driver().cuInit(0))
        _check(_driver().cuDeviceGet(ctypes.byref(handle), device))
        # The context that torch works in; kept until the process ends.
        _check(_driver().cuDevicePrimaryCtxRetain(ctypes.byref(self._context), handle))
        with self:
            _check(_driver().cuModuleLoadData(ctypes.byref(self._module), code))

    def __enter__(self) -> None:
        _check(_driver().cuCtxPushCurrent_v2(self._context))

    def __exit__(self, *_: object) -> None:
        _check(_driver().cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p())))

    def launch(
        self, name: str, grid: tuple[int, int, int], threads: int, *arguments: int | float | Tensor | None
    ) -> None:
        """Launch a kernel on torch's current stream of this card.

        Args:
            name: of the kernel in the source.
            grid: number of blocks; the first at most ``MAX_BLOCKS``, the others at most 65,535.
            threads: of a block.
            arguments: each is 8 bytes to the kernel, see :func:`address`.
        """
        count = len(arguments)
        values = (ctypes.c_int64 * count)(*map(address, arguments))
        first = ctypes.addressof(values)
        places = (ctypes.c_void_p * count)(*range(first, first + 8 * count, 8))
        stream = ctypes.c_void_p(torch.cuda.current_stream(self._device).cuda_stream)
        with self:
            if name not in self._functions:
                function = ctypes.c_void_p()
                _check(_driver().cuModuleGetFunction(ctypes.byref(function), self._module, name.encode()))
                self._functions[name] = function
            shape = (*map(ctypes.c_uint, grid), ctypes.c_uint(threads), ctypes.c_uint(1), ctypes.c_uint(1))
            function = self._functions[name]
            _check(_driver().cuLaunchKernel(function, *shape, ctypes.c_uint(0), stream, places, None))


def address(argument: int | float | Tensor | None) -> int:
    """The 8 bytes that a kernel sees of an argument: an integer, the bits of a float32 as one, a tensor's address, or
    a null pointer."""
    if isinstance(argument, Tensor):
        return argument.data_ptr()
    if isinstance(argument, float):
        return int.from_bytes(struct.pack("<f", argument), "little")
    return argument or 0


@dataclass(frozen=True)
class Outcome:
    """What became of an operator's kernels: they are there, or ``reason`` says in one line why not.

    Attributes:
        about: the compiler and the architecture.
        log: what the compiler said, where it failed.
    """

    kernels: Kernels | None = None
    about: str = ""
    reason: str = ""
    log: Path | None = None


def load(operator: str, device: torch.device, *defines: str) -> Kernels | None:
    """The kernels of ``kernels/OPERATOR/OPERATOR.cu`` on a card, compiled if need be; None where they cannot be had.

    Args:
        defines: for the compiler, such as ``ONLY_bf16``.

    Raises UsageError for an unknown value of ``STYLIZE_KERNELS``.
    """
    return outcome(operator, device, *defines).kernels


def outcome(operator: str, device: torch.device, *defines: str) -> Outcome:
    """What ``load`` found, with the reason where that is nothing. Tried once in a process."""
    if not proof.allows(operator, device):
        reason = "not proven here" if kernels_wanted() else f"{VARIABLE}=off"
        _latest[operator] = Outcome(reason=reason)
        return _latest[operator]
    index = torch.cuda.current_device() if device.index is None else device.index
    with _once:
        _latest[operator] = _outcome(operator, index, defines)
        return _latest[operator]


def latest(operator: str) -> Outcome:
    """The last ``outcome`` of an operator, whatever it was asked for."""
    return _latest.get(operator, Outcome(reason="not tried yet"))


def forget() -> None:
    """Let the next ``load`` look anew."""
    _outcome.cache_clear()


_once = threading.Lock()
_latest: dict[str, Outcome] = {}


@lru_cache(maxsize=256)
def _outcome(operator: str, device: int, defines: tuple[str, ...]) -> Outcome:
    try:
        arch = nvrtc.architecture(torch.cuda.get_device_capability(device))
        code = _compiled(operator, arch, defines)
        return Outcome(Kernels(code, device), f"NVRTC {nvrtc.version()}, sm_{arch}")
    except BuildError as error:
        where = cache.keep_log("cuda.log", error.log) if error.log else None
        see = f"; see {where}" if where else ""
        text = "%s: no kernel for this graphics card, plain torch computes instead, slower: %s%s"
        log.warning(text, operator, error, see)
        return Outcome(reason=str(error), log=where)


def _compiled(operator: str, arch: int, defines: tuple[str, ...]) -> bytes:
    source = source_of(operator)
    key: list[str | bytes] = [__version__, nvrtc.version(), str(arch), *defines]
    for file in (source, *nvrtc.headers_of(source)):
        key += [file.name, file.read_bytes()]

    def produce(target: Path) -> None:
        target.write_bytes(nvrtc.compile_source(source, arch, defines))

    return cache.cached(
        f"{operator}.cubin",
        key,
        produce,
        Path.read_bytes,
        notice=f"compiling {operator} for this graphics card, a few seconds",
    )


def source_of(operator: str) -> Path:
    """The CUDA source: inside an installed package, or at the top of a checkout. Raises BuildError without one."""
    source = build.source_folder() / operator / f"{operator}.cu"
    if not source.is_file():
        raise BuildError(f"the CUDA source of {operator} is not installed")
    return source


def takes(*tensors: Tensor | None) -> bool:
    """Whether all tensors are of one card, not empty, and of any float type but float64."""
    there = [t for t in tensors if t is not None]
    return all(
        t.is_cuda and t.device == there[0].device and t.dtype in STORAGE and t.numel() > 0 for t in there
    )


def storage(*tensors: Tensor | None) -> torch.dtype:
    """The type that kernels read and write these tensors in: their own, or float32 where they differ."""
    types = {t.dtype for t in tensors if t is not None}
    return types.pop() if len(types) == 1 else torch.float32


def wide(width: int, *tensors: Tensor, size: int = 16) -> bool:
    """Whether rows of ``width`` elements, and the tensors themselves, start at multiples of ``size`` bytes."""
    return all(width * t.element_size() % size == 0 and t.data_ptr() % size == 0 for t in tensors)


@lru_cache(maxsize=1)
def _driver() -> ctypes.CDLL:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise BuildError(f"NVIDIA's driver was not found: {error}") from error


def _check(status: int) -> None:
    """Raise BuildError with the driver's own words."""
    if status:
        text: Any = ctypes.c_char_p()
        _driver().cuGetErrorString(status, ctypes.byref(text))
        raise BuildError(f"CUDA: {(text.value or b'unknown error').decode()} ({status})")
