"""First runs under every bad condition, and ``stylize kernels``: real compilers, real processes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from build_kit import hasty, real_compiler, script, unusable
from conftest import COMMAND, draw, environment
from PIL import Image

from stylecli.__main__ import _run
from stylecli.ops import build, cache, proof

COMPILING = "compiling kernels for this CPU"


def begin(folder: Path, cache: Path, target: str = "result.png", **variables: str) -> subprocess.Popen[bytes]:
    """Start ``stylize image`` on a small picture, in a process group of its own."""
    draw(folder / "photo.png", 96, 64, seed=1)
    draw(folder / "style.png", seed=7)
    return subprocess.Popen(
        [*COMMAND, "image", "photo.png", "-s", "style.png", "-o", target],
        cwd=folder,
        env=environment({"STYLIZE_CACHE": str(cache), "STYLIZE_KERNELS": "auto", "CXX": ""} | variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def result(process: subprocess.Popen[bytes], target: Path) -> tuple[np.ndarray, list[str]]:
    """The picture and the lines that a successful run said."""
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return np.asarray(Image.open(target).convert("RGB"), dtype=int), stderr.decode().splitlines()


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The picture as plain torch paints it. Nothing is compiled for it, and nothing said."""
    folder = tmp_path_factory.mktemp("off")
    painted, said = result(begin(folder, folder / "cache", STYLIZE_KERNELS="off"), folder / "result.png")
    assert not (folder / "cache").exists()
    assert [line.split()[0] for line in said] == ["done", "1"]
    return painted


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, expected: np.ndarray) -> Path:
    """A cache that two first runs at once have filled; one of them compiled, the other waited."""
    real_compiler()
    folder = tmp_path_factory.mktemp("two")
    runs = [begin(folder, folder / "cache", target) for target in ("a.png", "b.png")]
    said = []
    for run, target in zip(runs, ("a.png", "b.png"), strict=True):
        painted, lines = result(run, folder / target)
        same(painted, expected)
        said += lines
    assert [line for line in said if COMPILING in line] == [f"{COMPILING}, a few seconds, once"]
    return folder / "cache"


def same(painted: np.ndarray, expected: np.ndarray) -> None:
    """Equal within rounding, and not merely grey."""
    assert np.abs(painted - expected).max() <= 2
    assert expected.std() > 5


def test_two_first_runs_at_once(built: Path) -> None:
    assert sorted(path.suffix for path in (built / "kernels").iterdir()) == [".json", ".lock", ".so"]


def test_compiler_that_fails(tmp_path: Path, expected: np.ndarray) -> None:
    run = begin(tmp_path, tmp_path / "cache", CXX="/bin/false")
    painted, said = result(run, tmp_path / "result.png")
    same(painted, expected)
    log = tmp_path / "cache" / "kernels" / "cpu.log"
    assert [line for line in said if str(log) in line] == [
        f"kernels not compiled, plain torch computes instead, slower: /bin/false failed; see {log}"
    ]
    assert log.read_text().startswith("$ /bin/false -O3")


@pytest.mark.parametrize("kind", ["read-only", "full"])
def test_cache_that_cannot_be_written(tmp_path: Path, expected: np.ndarray, kind: str) -> None:
    compiler = str(hasty(tmp_path / "c++"))
    with unusable(kind, tmp_path) as folder:
        painted, said = result(begin(tmp_path, folder, CXX=compiler), tmp_path / "result.png")
    same(painted, expected)
    assert len([line for line in said if str(folder) in line]) == 1
    assert said[0].startswith(
        f"{COMPILING}, a few seconds, in every run: {folder / 'kernels'} cannot be used ("
    )


def test_killed_build_blocks_nobody(tmp_path: Path, expected: np.ndarray) -> None:
    # Its first process is killed while the compiler works; that goes on, as orphans do.
    started, ended = tmp_path / "started", tmp_path / "ended"
    slow = script(
        tmp_path / "slow-c++",
        f"""
        if [ "$1" != --version ]; then
            touch {shlex.quote(str(started))}; sleep 300; touch {shlex.quote(str(ended))}
        fi
        exec "$CXX" "$@"
        """,
    )
    killed = begin(tmp_path, tmp_path / "cache", CXX=str(slow))
    try:
        until = time.monotonic() + 200
        while not started.exists() and time.monotonic() < until:
            assert killed.poll() is None, "ended before it could be killed"
            time.sleep(0.01)
        killed.kill()
        assert killed.wait(timeout=30) == -signal.SIGKILL
        assert not (tmp_path / "result.png").exists()

        run = begin(tmp_path, tmp_path / "cache", CXX=str(hasty(tmp_path / "c++")))
        painted, said = result(run, tmp_path / "result.png")
        same(painted, expected)
        assert said[0] == f"{COMPILING}, a few seconds, once"
        assert not ended.exists()  # nobody waited for it
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()


@pytest.fixture
def warm(built: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """This process with the filled cache."""
    monkeypatch.setenv("STYLIZE_CACHE", str(built))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("STYLIZE_KERNELS", raising=False)
    build.forget()
    proof.forget()
    yield built
    build.forget()
    proof.forget()


def stylize_kernels(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = _run(["kernels", *arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_status(warm: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = stylize_kernels(capfd, "status", "--json")
    assert (code, err) == (0, "")
    state = json.loads(out)
    assert Path(state["cpu"]["library"]).parent == warm / "kernels"
    rows = {(row["op"], row["device"]): row for row in state["operators"]}
    row = rows["bi_wkv", "cpu"]
    assert (row["path"], row["why"], row["problem"]) == ("compiled", state["cpu"]["about"], None)
    assert row["proven"] == state["devices"][0]["proven"]
    assert row["errors"]["float32"] < 1e-4
    assert state["devices"][0]["paintings"]["stylerwkv-s"]["float32"]["decibels"] > 60
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    code, out, err = stylize_kernels(capfd, "status")
    assert (code, out) == (0, "")
    assert err.startswith("library   none: STYLIZE_KERNELS=off\n")
    assert [line.split()[2] for line in err.splitlines() if line.startswith("bi_wkv")] == ["torch"]


def test_build_again_and_clean(
    warm: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = stylize_kernels(capfd, "build")
    assert code == 0
    assert COMPILING not in err

    # Elsewhere, with fewer sources: what others share stays, and compiling takes a moment.
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path / "cache"))
    for force in ([], ["--force"]):
        build.forget()
        proof.forget()
        monkeypatch.setenv("CXX", "/bin/false")
        code, _, err = stylize_kernels(capfd, "build", *force)
        assert code == 1
        assert "/bin/false failed; see " in err
    assert [path.name for path in cache.contents()] == ["cpu.lock", "cpu.log"]
    code, _, err = stylize_kernels(capfd, "clean")
    assert (code, err) == (0, f"2 files removed from {tmp_path / 'cache' / 'kernels'}\n")
    assert list((tmp_path / "cache").iterdir()) == []

    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    code, _, err = stylize_kernels(capfd, "build")
    assert code == 2
    assert err.count("\n") == 1


@pytest.mark.usefixtures("warm")
def test_check_of_every_operator(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = stylize_kernels(capfd, "test")
    assert code == 0, err
    rows = [line.split() for line in err.splitlines()]
    assert rows[0] == ["operator", "device", "dtype", "pass", "path", "error", "limit", "verdict"]
    for part in ("forward", "backward"):
        assert ["bi_wkv", "cpu", "float32", part, "compiled"] in [row[:5] for row in rows]
    assert ["scan_of_map", "cpu", "float32", "forward", "compiled"] in [row[:5] for row in rows]


def test_check_notices_wrong_results() -> None:
    import torch

    from stylecli.ops import catalog, check

    right = catalog.OPERATORS[0]

    def crash(*inputs: object) -> None:
        raise RuntimeError("an illegal memory access was encountered\nand more")

    problems = []
    for function in (
        lambda *x: right.function(*x) * 1.0001,
        lambda *x: right.function(*x) * float("nan"),
        crash,
    ):
        wrong = replace(right, function=function)
        problems += [r.problem for r in check.check(wrong, torch.device("cpu"), torch.float32, (3,), True)]
    assert problems[0].startswith("off by 1.0e-04 forward in float32")
    assert problems[2].startswith("off by inf forward")
    assert problems[4:] == ["RuntimeError: an illegal memory access was encountered"] * 2
