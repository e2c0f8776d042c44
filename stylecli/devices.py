"""Where to compute, and in which number format: what ``--device`` and ``--dtype`` mean on this machine.

No device is trusted by its name: each is looked at when it is first used (:mod:`stylecli.ops.proof`).
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from stylecli.errors import UsageError
from stylecli.ops import proof
from stylecli.ops.prover import FAITHFUL

log = logging.getLogger(__name__)

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAME = re.compile(r"(cpu|cuda|mps|xpu)(?::(\d+))?")
_CPU = torch.device("cpu")


def accelerators() -> list[torch.device]:
    """All that torch can compute on here but the CPU."""
    found = (
        [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    if torch.xpu.is_available():
        found += [torch.device("xpu", i) for i in range(torch.xpu.device_count())]
    if torch.backends.mps.is_available():
        found.append(torch.device("mps"))
    return found


def here() -> list[torch.device]:
    """The CPU and all accelerators."""
    return [_CPU, *accelerators()]


def choose_device(
    name: str = "auto", network: str = proof.DEFAULT.network, weights: Path | None = None
) -> torch.device:
    """The device that ``--device`` names, such as cpu, cuda, cuda:1, mps or xpu.

    ``auto`` takes the one that paints fastest among those whose painting is the CPU's, with this network and weights.

    Raises UsageError for a device that is not there.
    """
    if name == "auto":
        return _fastest(network, weights)
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(f"--device {name}: choose auto, cpu, cuda, cuda:1, mps or xpu")
    if match[1] == "cpu":
        return _CPU
    those = [device for device in accelerators() if device.type == match[1]]
    number = int(match[2] or 0)
    if not those:
        raise UsageError(f"--device {name}: torch finds no {match[1].upper()} device here; use --device cpu")
    if number >= len(those):
        raise UsageError(f"--device {name}: the last one here is {those[-1]}")
    return those[number]


def _fastest(network: str, weights: Path | None) -> torch.device:
    """The CPU's own time was taken in plain torch, beside each of the others'."""
    best, least = _CPU, float("inf")
    for device in accelerators():
        checks = proof.of(device, network, weights).painting(network, weights)
        took = min(
            (check.seconds for check in checks.values() if check.decibels >= FAITHFUL), default=float("inf")
        )
        if took < min(least, checks["reference"].seconds if "reference" in checks else 0.0):
            best, least = device, took
    return best


def has_fast_bf16() -> bool:
    """Whether the CPU computes in bfloat16. Where it does not, that is emulated, many times slower than float32."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def choose_dtype(
    name: str,
    device: torch.device,
    bf16_on_cpu: bool = True,
    network: str = proof.DEFAULT.network,
    weights: Path | None = None,
) -> torch.dtype:
    """``auto`` on a CPU is bfloat16 where it computes in it, else float32; on others the fastest type in which
    the network's painting is that of float32.

    Args:
        name: auto, fp32, bf16 or fp16.
        bf16_on_cpu: whether ``auto`` may be bfloat16 on a CPU, see :class:`stylecli.models.descriptor.Descriptor`.
    """
    if name == "auto":
        if device.type == "cpu":
            return torch.bfloat16 if bf16_on_cpu and has_fast_bf16() else torch.float32
        return _fastest_dtype(device, network, weights)
    if name not in _DTYPES:
        raise UsageError(f"--dtype {name}: choose auto, fp32, bf16 or fp16")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("--dtype fp16 needs a GPU; use fp32 or bf16 on a CPU")
    if name == "bf16" and device.type == "cpu" and not has_fast_bf16():
        log.warning(
            "this processor has no bfloat16 arithmetic: --dtype bf16 will be slow, fp32 is faster here"
        )
    return _DTYPES[name]


def _fastest_dtype(device: torch.device, network: str, weights: Path | None) -> torch.dtype:
    """Of those as fast as each other the narrowest, and of these the most faithful. The proof's painting is small:
    where a card waits for Python, all types take the same time there, and a large picture is faster in fewer bits."""
    checks = proof.of(device, network, weights).painting(network, weights)
    faithful = {t: checks[n] for n, t in _BY_NAME.items() if n in checks and checks[n].decibels >= FAITHFUL}
    least = min((check.seconds for check in faithful.values()), default=0.0)
    fast = [t for t, check in faithful.items() if check.seconds <= _AS_FAST * least]
    return max(fast, key=lambda t: (-t.itemsize, faithful[t].decibels), default=torch.float32)


_AS_FAST = 1.15  # on an H200 three types took 4.87 to 5.09 ms
_BY_NAME = {str(dtype).removeprefix("torch."): dtype for dtype in _DTYPES.values()}


def free_on(device: torch.device) -> int | None:
    """Bytes that are free on an accelerator; None where it shares the CPU's memory or does not tell."""
    if device.type in ("cuda", "xpu"):
        return int(torch.get_device_module(device).mem_get_info(device)[0])
    return None


def upload(x: Tensor, device: torch.device) -> Tensor:
    """On the device; from memory that a CUDA card reads by itself, so that nobody waits for it."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """What this thread begins inside is in an order of its own: beside what other threads begin, not behind it."""
    if device.type not in ("cuda", "xpu"):
        yield
        return
    module, kept = torch.get_device_module(device), _own.__dict__.setdefault("streams", {})
    if device not in kept:
        kept[device] = module.Stream(device)
    with module.stream(kept[device]):
        yield


_own = threading.local()


def wait_for(device: torch.device) -> None:
    """Until all that was begun on the device is done."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()
