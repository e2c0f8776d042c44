"""Runs ``stylecli/proving.py`` in a process of its own and watches it: the side that must not crash or wait for ever.

The child says what it begins and what came of it, one JSON object a line. Where it dies or falls silent, what it had
begun is to blame, and another child goes on with the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

START_S = 120.0  # until the child has imported torch; machines can be very busy
SILENCE_S = {"cpu": 20.0}  # for one operator, the compiling of its kernels included, ...
_COMPILING_S = 120.0  # ... which takes its time for a graphics card
PAINTING = "painting"
CUDA_GRAPH = "cuda_graph"  # painting as one (stylecli/paint/cuda_graphs.py)
FAITHFUL = 45.0  # decibels from float32 on the CPU that a painting has to reach


@dataclass(frozen=True)
class Job:
    """What the child does.

    Attributes:
        library: the compiled kernels of the CPU, where they are a file.
        operators: to be checked. without: those that painting does without.
        network, weights: to paint with.
        full: longer inputs and every number format.
    """

    device: str
    library: Path | None
    operators: tuple[str, ...]
    without: list[str]
    network: str
    weights: Path | None
    full: bool = False


@dataclass
class OperatorOutcome:
    """``errors`` by number format, relative RMS, the worst; ``problem``: in words, empty where everything agreed."""

    errors: dict[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass
class Outcome:
    """What came of a job.

    Attributes:
        paintings: by number format, decibels from float32 on the CPU and seconds.
        rows: every single result, as the child gave it.
        log: all that was said, for a file.
        started: whether every child got as far as to begin something.
    """

    operators: dict[str, OperatorOutcome] = field(default_factory=dict)
    paintings: dict[str, tuple[float, float]] = field(default_factory=dict)
    painting_problem: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""
    started: bool = True


def prove(job: Job) -> Outcome:
    """Do a job, with as many children as it takes."""
    outcome = Outcome()
    left = [*job.operators, PAINTING]
    without = list(job.without)
    while left:
        begun, trouble = _child(job, left, without, outcome)
        if not trouble:
            break
        if begun is None:  # it did not even start: nothing is proven, and nothing refuted
            outcome.started = False
            for op in left:
                _blame(outcome, op, trouble)
            break
        _blame(outcome, begun, trouble)
        left = left[left.index(begun) + 1 :]
        without.append(begun)
    return outcome


def _blame(outcome: Outcome, what: str, trouble: str) -> None:
    if what == PAINTING:
        outcome.painting_problem = outcome.painting_problem or trouble
    else:
        blamed = outcome.operators.setdefault(what, OperatorOutcome())
        blamed.problem = blamed.problem or trouble


def _child(job: Job, left: list[str], without: list[str], outcome: Outcome) -> tuple[str | None, str]:
    """Run one child; what it had begun last and, where it came to a bad end, how."""
    if getattr(sys, "frozen", False) or not sys.executable:
        return None, "could not be tried out (no Python interpreter of its own)"
    silence = SILENCE_S.get(job.device.partition(":")[0], _COMPILING_S)
    task = {
        "device": job.device,
        "library": None if job.library is None else str(job.library),
        "left": left,
        "without": without,
        "network": job.network,
        "weights": None if job.weights is None else str(job.weights),
        "full": job.full,
        "seconds": silence,
    }
    with tempfile.TemporaryFile() as words:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "stylecli.proving", json.dumps(task)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                env=_environment(),
            )
        except OSError as error:
            outcome.log += f"{error}\n"
            return None, f"could not be tried out ({error.strerror})"
        assert process.stdout is not None
        lines: Queue[bytes | None] = Queue()
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        begun: str | None = None
        trouble = ""
        try:
            while (line := lines.get(timeout=START_S if begun is None else silence)) is not None:
                begun = _take(line, begun, outcome)
            code = process.wait(timeout=silence)
            if code:
                trouble = f"crashed, {_ending(code)}" if begun else f"could not be tried out, {_ending(code)}"
        except (Empty, subprocess.TimeoutExpired):
            limit = START_S if begun is None else silence
            trouble = f"not done after {limit:.0f} s"
        finally:
            process.kill()
            process.wait()
            reader.join()
        words.seek(0)
        said = words.read().decode(errors="replace")
        outcome.log += f"{said}{begun or 'start'}: {trouble}\n" if trouble or said else ""
    return begun, trouble


def _environment() -> dict[str, str]:
    """Kernels without proof, no network connection, and this very package, wherever it was imported from."""
    here = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return os.environ | {
        "STYLIZE_KERNELS": "all",
        "STYLIZE_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([here, known] if known else [here]),
    }


def _read(pipe: IO[bytes], lines: Queue[bytes | None]) -> None:
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _take(line: bytes, begun: str | None, outcome: Outcome) -> str | None:
    """Note what a line of the child says; what it is at now."""
    try:
        said = json.loads(line)
    except ValueError:
        outcome.log += line.decode(errors="replace")
        return begun
    if "begin" in said:
        if said["begin"] != PAINTING:
            outcome.operators.setdefault(said["begin"], OperatorOutcome())
        return str(said["begin"])
    if "decibels" in said:
        outcome.paintings[said["dtype"]] = (said["decibels"], said["seconds"])
    elif "problem" in said and "op" not in said:
        outcome.painting_problem = said["problem"]
        outcome.log += f"painting: {said['problem']}\n"
    else:
        outcome.rows.append(said)
        _judge(outcome.operators[said["op"]], said)
        if said["problem"]:
            outcome.log += f"{said['op']}: {said['problem']}\n"
    return begun


def _judge(outcome: OperatorOutcome, row: dict[str, Any]) -> None:
    if row["path"] != "compiled":  # what torch computes needs no proof here
        return
    dtype = row["dtype"]
    outcome.errors[dtype] = max(outcome.errors.get(dtype, 0.0), row["error"])
    if row["problem"] and not outcome.problem:
        outcome.problem = row["problem"]


def _ending(code: int) -> str:
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
