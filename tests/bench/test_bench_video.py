"""``stylize bench video`` on small real films: what it measures is there and hangs together."""

import inspect
import json
from pathlib import Path

import pytest
from film_kit import Film
from PIL import Image

from stylecli.bench import everything, video
from stylecli.cli.video import video as command


@pytest.fixture
def film(tmp_path):
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "style.png")
    return Film(frames=5).write(tmp_path / "film.mp4")


def test_stages_alone_and_together(stylize, film):
    done = stylize("bench", "video", str(film), "-s", "style.png", "--overlap", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    stages = [row[name] for name in ("decode", "motion", "paint", "steady", "model", "encode", "together")]
    assert row["frames"] == 5 and min(stages) > 0
    shown = row["shown"]  # what docs/figures.py puts into pages
    assert (
        shown["row"]["frames"] == "5"
        and "--overlap" in shown["by"]
        and "stylerwkv-s" in shown["on"]["weights"]
    )
    assert row["ratio"] == pytest.approx(row["together"] / max(row["decode"], row["model"], row["encode"]))


def test_flicker_and_crispness(stylize, film):
    done = stylize("bench", "video", str(film), "-s", "style.png", "--max-frames", "4", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["frames"] == 4 and row["clip"] == "film.mp4" and row["style"] == "style"
    assert 0 < row["steadied"] <= row["frame_by_frame"] and row["crispness"] > 0.8


def test_all_steadies_films_as_the_command_does(monkeypatch, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "style.png")
    measured = []
    monkeypatch.setattr(video, "painter", lambda style: None)
    monkeypatch.setattr(video, "flicker", lambda *how: measured.append(how[-1]))
    monkeypatch.setattr(video, "flicker_section", lambda rows: rows)
    everything._video((Path("a.mp4"),), tmp_path)
    assert measured == [float(inspect.signature(command).parameters["temporal"].default)]
