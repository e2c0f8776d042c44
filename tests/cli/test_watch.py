"""``--watch``: what arrives complete is painted, what is none is named, and Ctrl-C is the ordinary end."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import COMMAND, draw, environment
from processes_kit import heed_ctrl_c

from stylecli.__main__ import _run

pytest.importorskip("watchfiles")


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.05)


def test_pictures_that_arrive_are_painted_until_ctrl_c(tmp_path: Path) -> None:
    draw(tmp_path / "s.png", seed=3), draw(tmp_path / "in" / "there.png")
    whole = draw(tmp_path / "large.png", 200, 150, seed=2).read_bytes()
    arguments = ["image", "in", "-r", "-s", "s.png", "--max-size", "48", "--watch"]
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        wait_for(tmp_path / "in" / "there.s.png")
        (tmp_path / "in" / "bad.jpg").write_text("no picture")
        with (tmp_path / "in" / "slow.png").open("wb") as file:  # as a camera or a download writes
            for begin in range(0, len(whole), len(whole) // 4):
                file.write(whole[begin : begin + len(whole) // 4])
                file.flush()
                time.sleep(0.4)
        draw(tmp_path / "trip" / "b.jpg")
        (tmp_path / "trip").rename(tmp_path / "in" / "trip")
        wait_for(tmp_path / "in" / "slow.s.png"), wait_for(tmp_path / "in" / "trip" / "b.s.jpg")
        time.sleep(1.5)  # its own results arrive, too
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 1, said  # for bad.jpg
    assert "watching in: Ctrl-C ends it" in said and "Traceback" not in said
    assert said.count("failed in/bad.jpg") == 1 and said.splitlines()[-1].startswith("3 done, 1 failed in ")
    made = {path.name for path in (tmp_path / "in").rglob("*.s.*")}
    assert made == {"there.s.png", "slow.s.png", "b.s.jpg"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--watch"], "--watch a.png: only folders can be watched"),
        ([".", "--watch", "--dry-run"], "--watch and --dry-run do not go together"),
        ([".", "--watch", "--jobs", "2"], "--watch and --jobs and --cluster do not go together"),
    ],
)
def test_what_cannot_be_watched(tmp_path, monkeypatch, capsys, arguments, words) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    assert _run(["image", *arguments, "-s", "a.png"]) == 2
    assert words in capsys.readouterr().err


def test_without_watchfiles_it_says_what_to_install(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(__import__("sys").modules, "watchfiles", None)
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    assert _run(["image", ".", "-s", "a.png", "--watch"]) == 2
    assert "pip install 'stylecli[watch]'" in capsys.readouterr().err
