"""``--open``: what is opened, and with what."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from conftest import draw

from stylecli.__main__ import _run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the viewer")


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a viewer of our own writes down what it was asked to show."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("xdg-open", "open"):
        viewer = tmp_path / "bin" / name
        viewer.write_text(
            f'#!/bin/sh\necho noise\necho "$1" > {tmp_path}/seen.new; mv {tmp_path}/seen.new {tmp_path}/seen\n'
        )
        viewer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("a.png", "b.png", "style.png"):
        draw(tmp_path / name, 20, 20)
    for name in ("a", "b"):
        draw(tmp_path / "out" / f"{name}.style.png", 20, 20)
    return tmp_path / "seen"


def shown(seen: Path) -> Path:
    until = time.monotonic() + 5
    while not seen.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return Path(seen.read_text().strip())


@pytest.mark.parametrize(
    ("inputs", "expected"), [(["a.png"], "out/a.style.png"), (["a.png", "b.png"], "out")]
)
def test_results_are_shown(
    seen: Path, inputs: list[str], expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also those that were there already."""
    assert _run(["image", *inputs, "-s", "style.png", "-o", "out/", "--open"]) == 0
    assert shown(seen) == Path(expected).absolute()
    assert "noise" not in "".join(capfd.readouterr())


def test_where_nothing_opens_files(
    seen: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert _run(["image", "a.png", "-s", "style.png", "-o", "out/", "--open"]) == 2
    assert "--open: nothing here opens files" in capfd.readouterr().err
    assert not seen.exists()
