"""Which compiled kernels may be used on a device: those that were seen to agree with their formulas there.

The first time that something is computed on a device, every operator is run against its float64 reference on small
inputs, in a process of its own (``stylecli/proving.py``), so that a crash or a hang costs nothing. What agreed is
recorded beside the compiled kernels and used from then on; for the others plain torch computes. A record holds for one
device, driver, torch and version of our sources.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from stylecli import __version__
from stylecli.ops import build, cache
from stylecli.ops.cache import BuildError
from stylecli.ops.kernel_mode import kernel_mode
from stylecli.ops.prover import CUDA_GRAPH, Job, Outcome, prove

log = logging.getLogger(__name__)

KERNELS = {
    "cpu": (
        *("bi_wkv", "selective_scan", "scan_of_map", "deform_shift", "conv3x3", "enlarged_conv3x3"),
        *("adain", "depthwise3x3", "moments", "enlarge", "shrink"),
    ),
    "cuda": (
        "bi_wkv",
        "selective_scan",
        "deform_shift",
        "adain",
        "depthwise3x3",
        "moments",
        "bordered",
        "gates",
    ),
}
"""The operators that have a kernel, by type of device; :mod:`stylecli.ops.catalog` has their yardsticks."""
BESIDE = {"cuda": (CUDA_GRAPH,)}
"""What else is proven and, where it fails, left out in the same way."""


@dataclass(frozen=True)
class Verdict:
    """On one operator: relative RMS by number format, the worst of all inputs; ``problem``: in words, or empty."""

    errors: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class PaintingCheck:
    """On painting with one network in one number format: decibels from float32 on the CPU, and seconds of a picture."""

    decibels: float
    seconds: float


@dataclass(frozen=True)
class Proof:
    """What was seen on a device.

    Attributes:
        when: UTC, ISO 8601; empty where nothing has been proven.
        operators: verdicts by operator.
        paintings: by network, then by number format, such as "float32"; that of the CPU itself is "reference".
        log: what was said, where something disagreed.
    """

    when: str = ""
    operators: Mapping[str, Verdict] = field(default_factory=dict)
    paintings: Mapping[str, Mapping[str, PaintingCheck]] = field(default_factory=dict)
    log: str = ""

    def agrees(self, operator: str) -> bool:
        verdict = self.operators.get(operator)
        return verdict is not None and not verdict.problem

    def shows(self, painting: Painting | None) -> bool:
        """Whether it says all that is asked: of painting with that, or of operators alone."""
        return painting is None or painting.name in self.paintings

    def painting(self, network: str, weights: Path | None = None) -> Mapping[str, PaintingCheck]:
        """What was seen of painting with a network, by number format."""
        return self.paintings.get(Painting(network, weights).name, {})


@dataclass(frozen=True)
class Painting:
    """What is painted with: an entry of ``weights.toml``, a file instead of its own."""

    network: str
    weights: Path | None = None

    @cached_property
    def name(self) -> str:
        """In records."""
        try:
            status = None if self.weights is None else self.weights.stat()
        except OSError:  # whoever loads it will say so
            status = None
        if self.weights is None or status is None:
            return self.network
        return f"{self.network} {self.weights.resolve()} {status.st_size} {status.st_mtime_ns}"


DEFAULT = Painting("stylerwkv-s")


def allows(operator: str, device: torch.device) -> bool:
    """Whether the operator's kernel may be used on this device. Proves the device first if that was never done.

    Raises UsageError for an unknown value of ``STYLIZE_KERNELS``.
    """
    mode = kernel_mode()
    if mode != "auto":
        return mode == "all" and operator not in excluded
    return of(device).agrees(operator)


excluded: set[str] = set()
"""Operators that are not used even where ``STYLIZE_KERNELS=all``: those that failed in the process that proves."""


def of(device: torch.device, network: str | None = None, weights: Path | None = None) -> Proof:
    """What was seen on a device; looked at now if it never was.

    Args:
        network: an entry of ``weights.toml``, to look at its painting too. weights: a file instead of its own.
    """
    which = f"{device.type}:{0 if device.index is None else device.index}"
    painting = None if network is None else Painting(network, weights)
    found = _seen.get(which)
    if found is not None and found.shows(painting):
        return found
    with _lock:
        found = _seen.get(which)
        if found is None or not found.shows(painting):
            found = _seen[which] = _looked_up(device, painting)
        return found


_seen: dict[str, Proof] = {}
_lock = threading.RLock()


def forget() -> None:
    """Let the next question look into the records anew."""
    _seen.clear()


def renew(device: torch.device, full: bool = True) -> Outcome:
    """Look again, whatever is recorded, and record it. Longer inputs and every number format if ``full``."""
    with _lock:
        forget()
        return _proven(device, DEFAULT, full, _library(device), Proof())[1]


def _looked_up(device: torch.device, painting: Painting | None) -> Proof:
    """The record, or a new one. On the CPU this is where kernels are compiled if need be."""
    made: list[Proof] = []

    def look(library: Path | None) -> None:
        key = _key(device, library)
        found = _read(key)
        if found is None or not found.shows(painting):
            found = _proven(device, painting or DEFAULT, False, library, found or Proof())[0]
        made.append(found)

    if device.type == "cpu":
        if build.outcome(opened=look).library is None:
            return Proof()
        if not made:  # opened before anybody asked
            look(build.outcome().path)
    else:
        look(None)
    return made[-1]


def _library(device: torch.device) -> Path | None:
    return build.outcome().path if device.type == "cpu" else None


def _proven(
    device: torch.device, painting: Painting, full: bool, library: Path | None, before: Proof
) -> tuple[Proof, Outcome]:
    """A new proof, recorded; operators that ``before`` knows are not looked at again. Says what disagreed."""
    kernels = (*KERNELS.get(device.type, ()), *BESIDE.get(device.type, ()))
    operators = tuple(op for op in kernels if op not in before.operators)
    without = [op for op in before.operators if not before.agrees(op)]
    if kernel_mode() == "off":
        operators, without = (), [*kernels]
    log.info("trying out the kernels on %s, once", name_of(device))
    job = Job(str(device), library, operators, without, painting.network, painting.weights, full)
    outcome = prove(job)
    verdicts = {op: Verdict(o.errors, o.problem) for op, o in outcome.operators.items()}
    checks = {dtype: PaintingCheck(*pair) for dtype, pair in outcome.paintings.items()}
    wrong = {op: verdict.problem for op, verdict in verdicts.items() if verdict.problem}
    verdicts = {**before.operators, **verdicts}
    if outcome.painting_problem:
        wrong |= {"painting": outcome.painting_problem}
        verdicts |= {
            op: Verdict(v.errors, v.problem or "the painting is another") for op, v in verdicts.items()
        }
    where = cache.keep_log(f"proof-{device.type}.log", outcome.log) if wrong else None
    if wrong:
        first = next(iter(wrong))
        log.warning(
            "%s: compiled %s not used (%s: %s), plain torch computes instead, slower; see %s",
            name_of(device),
            ", ".join(wrong) if "painting" not in wrong else "kernels",
            first,
            wrong[first],
            where,
        )
    proof = Proof(
        datetime.now(UTC).isoformat(timespec="seconds"),
        verdicts,
        {**before.paintings, painting.name: checks},
        str(where or before.log),
    )
    if outcome.started:
        # Of a network that could not be loaded nothing was seen; next time it may be there.
        seen = {name: checks for name, checks in proof.paintings.items() if checks}
        _write(_key(device, library), replace(proof, paintings=seen))
    return proof, outcome


# Records.


def name_of(device: torch.device) -> str:
    """The device in words, such as "NVIDIA H100" or "this CPU"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "this CPU" if device.type == "cpu" else f"this {device.type.upper()} device"


def identity(device: torch.device) -> list[str]:
    """All about a device that may change what it computes: its name, driver and compute capability."""
    if device.type == "cuda":
        driver = getattr(
            torch._C, "_cuda_getDriverVersion", lambda: None
        )()  # not in builds for the CPU alone
        return [
            torch.cuda.get_device_name(device),
            str(driver),
            str(torch.cuda.get_device_capability(device)),
        ]
    if device.type == "xpu":
        return [str(torch.xpu.get_device_properties(device))]
    if device.type == "mps":
        return ["mps", platform.mac_ver()[0], platform.machine()]
    return ["cpu", build.cpu_features()]


def _key(device: torch.device, library: Path | None) -> str:
    parts = [
        kernel_mode(),
        *identity(device),
        torch.__version__,
        str(torch.version.cuda),
        __version__,
        _sources(device.type == "cuda"),
    ]
    if library is not None:
        parts.append(hashlib.sha256(library.read_bytes()).hexdigest())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=2)
def _sources(cuda: bool) -> str:
    """A hash of what calls kernels and, for CUDA, of their sources; those of the CPU are in the library's hash."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    with suppress(BuildError):
        files += sorted(build.source_folder().rglob("*.cu*")) if cuda else []
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _place(key: str) -> Path:
    return cache.folder() / f"proof-{key}.json"


def _read(key: str) -> Proof | None:
    try:
        text = cache.read_private(_place(key))
        kept = json.loads(text)
        operators = {op: Verdict(v["errors"], v["problem"]) for op, v in kept["operators"].items()}
        paintings = {
            name: {dtype: PaintingCheck(**check) for dtype, check in checks.items()}
            for name, checks in kept["paintings"].items()
        }
        return Proof(kept["when"], operators, paintings, kept["log"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(key: str, proof: Proof) -> None:
    # A folder that cannot be written has been told of already, by whoever compiled.
    with suppress(OSError):
        cache.write_private(_place(key), json.dumps(asdict(proof)))
