"""Runs that end in the middle: nothing half-written stays, and the same command completes them."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import COMMAND, Stylize, draw, environment
from PIL import Image
from processes_kit import heed_ctrl_c

from stylecli.files import owner

COUNT = 24


@pytest.fixture
def command(tmp_path: Path, styles: list[Path]) -> list[str]:
    for number in range(COUNT):
        draw(tmp_path / "photos" / f"{number}.png", 96, 96, seed=number)
    return ["image", "photos", "--style", styles[0].name, "-o", "out"]


def strike(command: list[str], folder: Path, blow: signal.Signals) -> tuple[int, str]:
    """Start the run, send ``blow`` when two results are there; its exit code and stderr."""
    process = subprocess.Popen(
        [*COMMAND, *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )
    until = time.monotonic() + 90
    while len(list((folder / "out").glob("*.png"))) < 2 and time.monotonic() < until:
        assert process.poll() is None, "ended before it could be struck"
        time.sleep(0.002)
    process.send_signal(blow)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr.decode()


def finished(folder: Path) -> int:
    """Number of results; every one of them must be whole."""
    results = list(folder.glob("*.png"))
    for path in results:
        with Image.open(path) as image:
            image.load()
            assert image.size == (96, 96)
    return len(results)


def test_kill_9_then_the_same_command(command: list[str], tmp_path: Path, stylize: Stylize) -> None:
    code, _ = strike(command, tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    before = finished(tmp_path / "out")
    assert 2 <= before < COUNT
    # What a kill in the middle of a write leaves; certain to be there only when put there.
    dead = subprocess.Popen(["true"])
    dead.wait()
    (
        tmp_path / "out" / f".stylize-{owner.machine()}-{owner.namespace()}-{dead.pid}-0123abcd.part"
    ).write_bytes(b"half a picture")

    again = stylize(*command)
    assert again.returncode == 0, again.stderr
    assert f"{before} of {COUNT} exist already" in again.stderr.decode()
    assert finished(tmp_path / "out") == COUNT
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_ctrl_c_is_130_with_whole_files(command: list[str], tmp_path: Path) -> None:
    code, stderr = strike(command, tmp_path, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1].startswith("interrupted: ")
    done = finished(tmp_path / "out")
    assert 2 <= done < COUNT
    assert f"interrupted: {done} done" in stderr
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
