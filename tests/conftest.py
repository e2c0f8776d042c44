"""Small real pictures, and the program as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ["STYLIZE_OFFLINE"] = "1"  # no test leaves this machine
# Threads that spin would hold up the programs that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

COMMAND = [sys.executable, "-m", "stylecli"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """One thread: the tests share the machine. Plain output, whatever terminal the tests run in."""
    kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "STYLIZE_DEBUG")}
    return kept | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"} | dict(extra or {})


def draw(path: Path, width: int = 64, height: int = 64, seed: int = 0) -> Path:
    """Save soft coloured shapes at ``path``, in the format of its suffix."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = [np.sin(6.3 * ((1 + k + seed % 3) * x + (2 - k) * y) + seed + 2 * k) for k in range(3)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((127.5 + 100 * np.stack(waves, -1)).astype(np.uint8)).save(path)
    return path


Stylize = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def stylize(tmp_path: Path) -> Stylize:
    """Run ``stylize ARGUMENTS`` in the test's folder; ``.stdout`` and ``.stderr`` are bytes."""

    def run(*arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None):  # type: ignore[no-untyped-def]
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment(env),
            timeout=120,
        )

    return run


@pytest.fixture
def styles(tmp_path: Path) -> list[Path]:
    """Two style images: starry.jpg and wave.png."""
    return [draw(tmp_path / "starry.jpg", seed=7), draw(tmp_path / "wave.png", 80, 50, seed=4)]
