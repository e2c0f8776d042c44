"""``stylize train siglip``, run for real: what it was asked is in the record of the weights that it leaves."""

import subprocess
import sys

import pytest
from siglip_kit import captioned_pictures, random_teacher

from stylecli.models.registry import training_record
from stylecli.models.siglip import load_siglip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    random_teacher(folder / "teacher")
    captioned_pictures(folder / "pictures")
    return folder


def train(folder, *options):
    words = [
        "train",
        "siglip",
        "--teacher",
        "teacher",
        "--device",
        "cpu",
        "--phrases",
        "100",
        "--text-batch",
        "8",
        "--image-batch",
        "4",
    ]
    return subprocess.run(
        [sys.executable, "-m", "stylecli", *words, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_options_reach_the_run_and_its_weights_load(folder):
    options = [
        "--data",
        "pictures",
        "--out",
        "o",
        "--text-steps",
        "2",
        "--image-steps",
        "1",
        "--crop",
        "56",
        "--seed",
        "3",
        "--save-every",
        "1",
    ]
    result = train(folder, *options)
    assert result.returncode == 0, result.stderr
    path = folder / "o" / "release.safetensors"
    assert "weights: o/release.safetensors" in result.stderr
    record = training_record(path)
    asked = {
        "phrases": 100,
        "text_steps": 2,
        "text_batch": 8,
        "image_steps": 1,
        "image_batch": 4,
        "crop": 56,
        "seed": 3,
    }
    assert {k: record["config"][k] for k in asked} == asked
    assert (record["text"]["steps"], record["image"]["steps"]) == (2, 1)
    assert load_siglip(path).encode_text(["a red stone"]).shape == (1, 24)
    assert path.stat().st_size < 9_000_000

    # The same command with more to do goes on.
    again = train(folder, *options, "--image-steps", "2")
    assert again.returncode == 0
    assert "image: resuming at step 1" in again.stderr
    assert training_record(path)["image"]["steps"] == 2


def test_data_without_a_manifest_is_one_line(folder):
    result = train(folder, "--data", "teacher", "--out", "none")
    assert result.returncode == 1
    assert "manifest.csv" in result.stderr
    assert "Traceback" not in result.stderr
