"""``stylize text`` end to end: real files, the real networks, a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Stylize, draw
from PIL import Image


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)


def said(result) -> str:
    return result.stderr.decode()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    draw(tmp_path / "photo.png", 96, 80, seed=1)
    return tmp_path / "photo.png"


def test_phrases_and_a_blend_each_give_a_picture_of_their_own(stylize: Stylize, photo: Path) -> None:
    result = stylize(
        "text",
        "photo.png",
        "-p",
        "Paul Gauguin style",
        "-p",
        "line sketch",
        "--blend",
        "Claude Monet:0.6,ukiyo-e:0.4",
    )
    assert result.returncode == 0, result.stderr
    names = ["photo.paul-gauguin-style.png", "photo.line-sketch.png", "photo.claude-monet60-ukiyo-e40.png"]
    pictures = [pixels(photo.with_name(name)) for name in names]
    assert all(picture.shape == (80, 96, 3) for picture in pictures)
    for i, one in enumerate(pictures):
        assert np.abs(one - pixels(photo)).mean() > 5
        assert all(np.abs(one - other).mean() > 3 for other in pictures[:i])

    again = stylize("text", "photo.png", "Paul Gauguin style")
    assert "everything done already" in said(again)


def test_no_strength_gives_the_photograph_back_and_the_seed_repeats(stylize: Stylize, photo: Path) -> None:
    assert stylize("text", "photo.png", "cubism", "--strength", "0", "-o", "none.png").returncode == 0
    assert np.abs(pixels(photo.with_name("none.png")) - pixels(photo)).max() <= 1
    for name in ("a.png", "b.png"):
        assert stylize("text", "photo.png", "cubism", "--seed", "5", "-o", name).returncode == 0
    assert (photo.with_name("a.png")).read_bytes() == (photo.with_name("b.png")).read_bytes()


def test_odd_phrases_get_an_answer_or_a_line(stylize: Stylize, photo: Path) -> None:
    result = stylize(
        "text", "photo.png", "-p", "🌊🌊", "-p", "浮世絵の海", "-p", "very " * 2000, "-o", "out/"
    )
    assert result.returncode == 0, result.stderr
    assert len(list((photo.parent / "out").iterdir())) == 3
    assert said(result).count("is far from everything that the text encoder was trained on") >= 2
    known = stylize(
        "text", "photo.png", "-p", "Vincent van Gogh style", "-p", "a stormy sea at night", "-o", "known/"
    )
    assert "is far from" not in said(known)

    for arguments, line in (
        (("photo.png", ""), "the prompt is empty"),
        (("photo.png",), "no prompt: the last argument is the phrase"),
        (("photo.png", "photo.png"), "no prompt: the last argument is the phrase"),
        (("photo.png", "--blend", "a:0,b:0"), "at least one weight must be above 0"),
        (("missing.png", "cubism"), "missing.png"),
    ):
        refused = stylize("text", *arguments)
        assert refused.returncode in (1, 2)
        assert line in said(refused)
        assert "Traceback" not in said(refused)


def test_a_dry_run_names_the_phrase(stylize: Stylize, photo: Path) -> None:
    result = stylize("text", photo.name, "Paul Gauguin style", "--dry-run", "--json")
    planned = [json.loads(line) for line in result.stdout.decode().splitlines()]
    assert planned[0]["style"] == "paul-gauguin-style"


def test_refined_networks_are_kept(
    stylize: Stylize, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path / "cache"))  # or one of an earlier run would be found
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    asked = ("text", photo.name, "rusty old machine", "--model", "stylemamba-s")
    first = stylize(*asked, "--refine", "2", "-o", "a.png")
    assert first.returncode == 0, first.stderr
    assert "refining: 2 of 2" in said(first)
    second = stylize(*asked, "--refine", "2", "-o", "b.png")
    assert "refining" not in said(second)
    assert photo.with_name("a.png").read_bytes() == photo.with_name("b.png").read_bytes()
    assert stylize(*asked, "-o", "plain.png").returncode == 0
    assert photo.with_name("plain.png").read_bytes() != photo.with_name("a.png").read_bytes()


def test_the_usual_network_learns_from_images_alone(stylize: Stylize, photo: Path) -> None:
    refused = stylize("text", photo.name, "rusty old machine", "--refine", "2")
    assert refused.returncode == 2 and "after a phrase stylemamba-s learns (--model)" in said(refused)
