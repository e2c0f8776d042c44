"""``stylize train rwkv``, run for real: what it was asked is in the record of the weights that it leaves."""

import subprocess
import sys

import pytest
from PIL import Image
from training_kit import pictures, random_vgg

from stylecli.models.registry import training_record


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    pictures(folder / "photos", 3)
    pictures(folder / "paintings", 4)
    random_vgg(folder / "vgg.safetensors")
    return folder


def train(folder, *options):
    words = [
        "train",
        "rwkv",
        "--content",
        "photos",
        "--style",
        "paintings",
        "--crop",
        "32",
        "--device",
        "cpu",
    ]
    return subprocess.run(
        [sys.executable, "-m", "stylecli", *words, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_options_reach_the_run_and_its_weights_paint(folder):
    options = "--vgg vgg.safetensors --out o --steps 2 --batch 2 --lr 0.002 --seed 3 --workers 2 --dtype fp32"
    result = train(folder, *options.split(), "--save-every", "1")
    assert result.returncode == 0, result.stderr
    assert "weights: o/release.safetensors" in result.stderr
    record = training_record(folder / "o" / "release.safetensors")
    assert record["step"] == 2
    asked = {
        "steps": 2,
        "batch": 2,
        "lr": 0.002,
        "seed": 3,
        "workers": 2,
        "crop": 32,
        "bf16": False,
        "save_every": 1,
    }
    assert {k: record["config"][k] for k in asked} == asked

    painted = subprocess.run(
        [
            sys.executable,
            "-m",
            "stylecli",
            "image",
            "photos/0.png",
            "--style",
            "paintings/1.png",
            "-o",
            "out.png",
            "--weights",
            "o/release.safetensors",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert painted.returncode == 0, painted.stderr
    with Image.open(folder / "out.png") as out:
        assert out.size == (70, 60)

    # The same command goes on: nothing is left to do, and the weights stay.
    again = train(folder, *options.split(), "--steps", "3")
    assert again.returncode == 0
    assert training_record(folder / "o" / "release.safetensors")["step"] == 3


def test_the_reader_is_trained_first(folder):
    options = "--vgg vgg.safetensors --out r --steps 2 --batch 2 --crop 32 --lr 0.002 --dtype fp32"
    command = [sys.executable, "-m", "stylecli", "train", "reader", "--images", "paintings"]
    result = subprocess.run(
        [*command, *options.split()], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert "weights: r/release.safetensors" in result.stderr
    options = "--vgg vgg.safetensors --out p --steps 1 --batch 2 --warm-start r/release.safetensors"
    result = train(folder, *options.split())
    assert result.returncode == 0, result.stderr
    assert training_record(folder / "p" / "release.safetensors")["config"]["warm_start"].startswith("r/")


def test_missing_vgg_is_one_line_and_exit_3(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path))
    result = train(folder, "--out", "none")
    assert result.returncode == 3
    assert "vgg16" in result.stderr
    assert "Traceback" not in result.stderr
