"""``--faces`` from end to end: pictures, phrases and films."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from face_kit import face, needs_detector
from film_kit import LONG, stopped_after_a_group
from PIL import Image

from stylecli.__main__ import _run
from stylecli.paint.faces import find_faces, spared

pytestmark = needs_detector
SMALL = ["--stroke-size", "4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    face((96, 64), (40, 32), 34).save(tmp_path / "a.png")
    draw(tmp_path / "s.png", seed=3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_face_stays_and_all_else_is_the_painting(here):
    command = ["image", "a.png", "-s", "s.png", *SMALL, "--tile", "16", "--strength", "0.7", "-o"]
    for target, options in (
        ("plain.png", []),
        ("kept.png", ["--faces", "0"]),
        ("half.png", ["--faces", "0.4"]),
    ):
        assert _run([*command, target, *options]) == 0
    before, plain, kept, half = (pixels(here / f"{name}.png") for name in ("a", "plain", "kept", "half"))
    mask = spared(find_faces(before), *before.shape[:2], 0.0)
    assert (kept[mask == 0] == before[mask == 0]).all() and (mask == 0).mean() > 0.05
    assert (kept[mask == 65535] == plain[mask == 65535]).all()
    expected = before[mask == 0] + 0.4 * (plain[mask == 0].astype(float) - before[mask == 0])
    assert np.abs(half[mask == 0] - expected).max() < 0.51


def test_phrases_too_and_it_is_a_setting(here, capsys):
    command = ["text", "a.png", "ukiyo-e", *SMALL, "-o", "b.png"]
    assert _run([*command, "--faces", "0"]) == 0
    core = spared(find_faces(pixels(here / "a.png")), 64, 96, 0.0) == 0
    assert (pixels(here / "b.png")[core] == pixels(here / "a.png")[core]).all()
    assert _run([*command, "--faces", "0.5"]) == 1
    assert "faces 0, now 0.5" in capsys.readouterr().err
    assert _run(command) == 1
    assert "faces 0, now 1" in capsys.readouterr().err


def test_a_dry_run_draws_what_it_finds(here, capsys):
    draw(here / "none.png", 96, 64, seed=1)
    assert _run(["image", "a.png", "none.png", "-s", "s.png", "--faces", "0.4", "--dry-run", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "a.png: one face, drawn on " in err and "none.png: no face" in err
    found, none = [one for line in out.splitlines() if (one := json.loads(line))["event"] == "faces"]
    assert found["source"] == "a.png" and len(found["faces"]) == 1 and none["faces"] == []
    drawing = pixels(Path(found["drawn"]))
    assert (drawing != pixels(here / "a.png")).any() and drawing.shape == (64, 96, 3)
    assert sorted(path.name for path in here.iterdir()) == ["a.png", "none.png", "s.png"]


def test_in_a_film_it_follows_the_face_and_goes_on_where_it_stopped(here, capsys):
    for number in range(LONG):
        (here / "f").mkdir(exist_ok=True)
        face((96, 64), (30 + number / 4, 32), 34).save(here / f"f/{number:03d}.png")
    assert _run(["video", "f/%03d.png", "-s", "s.png", "--faces", "0.4", "--dry-run"]) == 0
    assert f"one face at 0.0 s; in {LONG} of {LONG} frames, drawn on" in capsys.readouterr().err
    command = ["video", "f/%03d.png", "-s", "s.png", "--faces", "0", *SMALL]
    assert _run([*command, "-o", "whole/%03d.png"]) == 0
    for number in (0, 4, LONG - 1):
        before, after = (pixels(here / f"{name}/{number:03d}.png") for name in ("f", "whole"))
        x = round(30 + number / 4)
        assert (after[26:44, x - 6 : x + 6] == before[26:44, x - 6 : x + 6]).all(), number
        assert (after[:, :4] != before[:, :4]).any()

    with stopped_after_a_group():
        assert _run([*command, "-o", "again/%03d.png"]) == 130
    assert _run([*command, "--resume", "-o", "again/%03d.png"]) == 0
    assert all(
        (here / f"again/{n:03d}.png").read_bytes() == (here / f"whole/{n:03d}.png").read_bytes()
        for n in range(LONG)
    )


def test_without_a_detector_one_line_says_what_to_install(here, monkeypatch, capsys):
    import cv2

    from stylecli.paint import faces

    monkeypatch.delattr(cv2, "CascadeClassifier")
    faces._cascade.cache_clear()
    assert _run(["image", "a.png", "-s", "s.png", "--faces", "0.4"]) == 2
    assert "pip install 'opencv-python<5'" in capsys.readouterr().err
