"""``stylize bench video`` on small real films: what it measures is there and hangs together."""

import json

import pytest
from film_kit import Film
from PIL import Image


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
    assert row["ratio"] == pytest.approx(row["together"] / max(row["decode"], row["model"], row["encode"]))


def test_flicker_and_crispness(stylize, film):
    done = stylize("bench", "video", str(film), "-s", "style.png", "--max-frames", "4", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["frames"] == 4 and row["clip"] == "film.mp4" and row["style"] == "style"
    assert 0 < row["steadied"] <= row["frame_by_frame"] and row["crispness"] > 0.8
