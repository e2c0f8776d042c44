"""NVRTC, the compiler that torch's CUDA wheels carry: from a CUDA source to machine code, without a CUDA toolkit."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch

from stylecli.ops.cache import BuildError

_LIBRARY = re.compile(r"libnvrtc(-\w+)?\.so[.\d]*|nvrtc64_\d+_0\.dll")  # without its builtins
_FLAGS = ("--std=c++17",)


@lru_cache(maxsize=1)
def find() -> ctypes.CDLL:
    """NVRTC from torch's own folder, from NVIDIA's packages beside it, or from the system. Raises BuildError."""
    for name in _candidates():
        try:
            library = ctypes.CDLL(name)
            library.nvrtcGetErrorString.restype = ctypes.c_char_p
            return library
        except (OSError, AttributeError):
            continue
    raise BuildError("NVRTC was not found; torch's CUDA packages bring it")


def _candidates() -> Iterator[str]:
    """Paths, then names for the system's loader; those of torch's own CUDA version first."""
    major = (torch.version.cuda or "13").partition(".")[0]
    folders = [Path(torch.__file__).parent / "lib"]
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        folders += sorted(Path(root).glob("*/lib")) + sorted(Path(root).glob("*/bin"))
    paths = [path for folder in folders for path in sorted(folder.glob("*nvrtc*"))]
    names = [path for path in paths if _LIBRARY.fullmatch(path.name)]
    yield from map(str, sorted(names, key=lambda path: f".so.{major}" not in path.name))
    yield from (f"libnvrtc.so.{major}", "libnvrtc.so", f"nvrtc64_{major}0_0.dll")


def version() -> str:
    """Such as "13.0". Raises BuildError where there is no NVRTC."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(find().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def architecture(capability: tuple[int, int]) -> int:
    """The newest architecture, such as 86, that NVRTC knows and a card of this compute capability runs.

    Raises BuildError where there is none: the card is too old or too new for this NVRTC.
    """
    count = ctypes.c_int()
    _check(find().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    known = (ctypes.c_int * count.value)()
    _check(find().nvrtcGetSupportedArchs(known))
    major, minor = capability
    fitting = [arch for arch in known if arch // 10 == major and arch % 10 <= minor]
    if not fitting:
        raise BuildError(f"NVRTC {version()} does not compile for compute capability {major}.{minor}")
    return max(fitting)


def headers_of(source: Path) -> list[Path]:
    """The headers that a source may include: those beside it by name, and those that all share as "../common/NAME"."""
    return sorted([*source.parent.glob("*.cuh"), *(source.parents[1] / "common").glob("*.cuh")])


def compile_source(source: Path, arch: int, defines: Sequence[str] = ()) -> bytes:
    """Machine code (a cubin) of ``source`` for one architecture, such as 86.

    Args:
        defines: such as ``STATES=16``.

    Raises:
        BuildError: with the compiler's messages as its ``log``.
    """
    nvrtc = find()
    headers = headers_of(source)
    texts = (ctypes.c_char_p * len(headers))(*(header.read_bytes() for header in headers))
    shared = {header: "" if header.parent == source.parent else "../common/" for header in headers}
    names = (ctypes.c_char_p * len(headers))(*(f"{shared[h]}{h.name}".encode() for h in headers))
    flags = [f"--gpu-architecture=sm_{arch}", *_FLAGS, *(f"-D{define}" for define in defines)]
    program = ctypes.c_void_p()
    text, name = source.read_bytes(), source.name.encode()
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, name, len(headers), texts, names))
    try:
        options = (ctypes.c_char_p * len(flags))(*(flag.encode() for flag in flags))
        status = nvrtc.nvrtcCompileProgram(program, len(flags), options)
        if status:
            log = _read("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
            raise BuildError(f"{source.name}: NVRTC {version()} reports errors", log)
        return _read("CUBIN", program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _check(getattr(find(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(getattr(find(), f"nvrtcGet{what}")(program, text))
    return text.raw


def _check(status: int) -> None:
    if status:
        raise BuildError(f"NVRTC: {find().nvrtcGetErrorString(status).decode()}")
