"""What tests of CUDA kernels share: the kernels on the CPU, and calls that notice what is written out of bounds."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stylecli.ops import cuda

TYPES = (torch.float32, torch.float16, torch.bfloat16)
# Relative RMS: rounding of results and, for the gradients, of what the forward pass kept.
LIMITS = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared")
TRAPS = (
    "-fsanitize=alignment,bounds,null,shift,signed-integer-overflow",
    "-fsanitize-undefined-trap-on-error",
)


class HostKernels:
    """As ``cuda.Kernels``, on the CPU."""

    def __init__(self, path: Path, descending: bool) -> None:
        self._library = ctypes.CDLL(str(path))
        self._descending = descending

    def launch(self, name, grid, threads, *arguments):
        assert all(0 < n <= limit for n, limit in zip(grid, (cuda.MAX_BLOCKS, 65_535, 65_535), strict=True))
        values = (ctypes.c_int64 * 24)(*(cuda.address(a) for a in arguments))
        grid, block = (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(threads, 1, 1)
        self._library.launch_on_host(getattr(self._library, name), grid, block, values, self._descending)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that compiles an operator for the CPU, once for each set of defines; the path of its library."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        pytest.skip("no C++ compiler here")
    folder, made = tmp_path_factory.mktemp("cuda"), {}

    def build(operator, defines):
        if (operator, defines) not in made:
            made[operator, defines] = target = folder / f"{operator}-{len(made)}.so"
            header = Path(__file__).with_name("cuda_on_host.h")
            options = [*FLAGS, *TRAPS, *(f"-D{d}" for d in defines), "-include", str(header), "-x", "c++"]
            subprocess.run([compiler, *options, str(cuda.source_of(operator)), "-o", str(target)], check=True)
        return made[operator, defines]

    return build


@pytest.fixture
def on_host(compiled, monkeypatch):
    """Lets the operators' calls of ``cuda`` run on the CPU; the order of threads may be given."""

    def use(descending=False):
        def load(operator, device, *defines):
            kept = tuple(d for d in defines if not d.startswith("ONLY_"))  # one library for all types
            return HostKernels(compiled(operator, kept), descending)

        monkeypatch.setattr(cuda, "load", load)

    use()
    return use


class Guarded(TorchDispatchMode):
    """New tensors are full of NaN and lie between guards, which ``check`` finds unharmed or not."""

    MAKERS = (torch.ops.aten.empty_like.default, torch.ops.aten.new_empty.default)

    def __init__(self):
        super().__init__()
        self.rooms = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return self.guard(out, empty=True) if func in self.MAKERS else out

    def guard(self, tensor, empty=False, shift=0):
        """A contiguous copy, off its 16-byte boundary by ``shift`` bytes."""
        size = tensor.numel() * tensor.element_size()
        room = torch.full((size + 512,), 0xFF, dtype=torch.uint8)  # a NaN in every type
        inside = room[256 + shift : 256 + shift + size].view(tensor.dtype).view(tensor.shape)
        if not empty:
            inside.copy_(tensor)
        self.rooms.append((room, 256 + shift, size))
        return inside

    def check(self):
        for room, start, size in self.rooms:
            assert (room[:start] == 0xFF).all() and (room[start + size :] == 0xFF).all(), (
                "written out of bounds"
            )


def guarded_call(function, *inputs, shift=0):
    with Guarded() as guard:
        inputs = [guard.guard(x, shift=shift) if isinstance(x, torch.Tensor) else x for x in inputs]
        results = function(*inputs)
    guard.check()
    return results


def guarded_map(function, x, *others, shift=0):
    """The same for a function of a map (B, C, H, W) that is to lie in channels-last memory."""
    with Guarded() as guard:
        tokens = guard.guard(x.permute(0, 2, 3, 1), shift=shift)
        others = [guard.guard(t) if isinstance(t, torch.Tensor) else t for t in others]
        results = function(tokens.permute(0, 3, 1, 2), *others)
    guard.check()
    return results


def error(got, expected):
    """Relative RMS; infinite for NaN."""
    off = (got.double() - expected).norm() / expected.norm().clamp(min=1e-30)
    return off.item() if torch.isfinite(off) else float("inf")
