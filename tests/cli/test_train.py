"""``stylize train``: recipes from the command line; killed and gone on with; with torch and little else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import environment
from training_kit import TINY, painting_data, same

from stylecli.models.registry import training_record
from stylecli.training.checkpoint import load_record, save_release

RECIPE = f"""
task = "style-rwkv"
steps = 24
batch = 2
dtype = "fp32"
save_every = 1
release_every = 8
[data]
content = ["content"]
style = ["style"]
vgg = "vgg.safetensors"
[crops]
size = 32
first = 32
style = 64
[texture]
side = 64
window = 16
[optimizer]
lr = 0.01
warm_up = 1
[network]
{chr(10).join(f"{k} = {v}" for k, v in TINY.items())}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = painting_data(tmp_path_factory.mktemp("training"))
    (folder / "mine.toml").write_text(RECIPE)
    return folder


def train(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "stylecli", "train", *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env=environment({"STYLIZE_CACHE": str(folder / "cache")}),
    )


def said(process, code):
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return err


def test_a_run_that_is_killed_goes_on_to_the_same_bits(folder, capfd, monkeypatch):
    """SIGKILL at whatever it was doing."""
    whole = train(folder, "mine.toml", "--out", "whole", "--device", "cpu")
    assert "weights: whole/release.safetensors" in said(whole, 0)
    checkpoint = folder / "killed" / "checkpoint.safetensors"
    process, deadline = (
        train(folder, "mine.toml", "--out", "killed", "--device", "cpu"),
        time.monotonic() + 100,
    )
    while not checkpoint.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    assert 0 < load_record(checkpoint)["step"] < 24
    assert "resuming at step" in said(train(folder, "mine.toml", "--out", "killed", "--device", "cpu"), 0)
    assert same(folder / "whole" / "release.safetensors", folder / "killed" / "release.safetensors")
    assert same(folder / "whole" / "checkpoint.safetensors", checkpoint)
    assert training_record(folder / "killed" / "release.safetensors")["recipe"]["steps"] == 24
    # Nor does it go on with other settings.
    from stylecli.__main__ import _run

    monkeypatch.chdir(folder)
    assert _run(["train", "mine.toml", "--out", "killed", "--device", "cpu", "--set", "losses.tv=0.7"]) == 2
    assert "losses.tv was 0.3 and is 0.7 now" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["mine.toml", "--set", "losses.styl=1"], 2, "the nearest known one is losses.style"),
        (["nothing"], 2, "those are autoencoder"),
        (["mine.toml", "--out", "none", "--set", "data.vgg=vgg16", "--offline"], 3, "vgg16"),
        (["average", "a.safetensors:1", "-o", "c.safetensors"], 2, "two weights files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line(folder, arguments, code, words, capfd, monkeypatch):
    from stylecli.__main__ import _run

    monkeypatch.chdir(folder)
    monkeypatch.setenv("STYLIZE_CACHE", str(folder / "cache"))
    assert _run(["train", *arguments]) == code
    err = capfd.readouterr().err
    assert words in err and err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
def test_a_stderr_that_is_full_is_not_worth_a_run(folder):
    save_release(folder / "first.safetensors", {"w": torch.ones(2, 3)}, '{"width": 3}', {})
    arguments = ["average", "first.safetensors:1", "first.safetensors:1", "-o", "mean.safetensors"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stylecli", "train", *arguments],
            cwd=folder,
            stderr=full,
            env=environment(),
            timeout=60,
        )
    assert done.returncode == 0
    assert (folder / "mean.safetensors").exists()


def test_training_needs_neither_av_nor_platformdirs(folder):
    """A machine with a graphics card has torch and little else. Every task is imported, and one step is done."""
    code = """
import importlib, pkgutil, sys
for name in ("av", "platformdirs", "cv2", "imageio", "typer", "rich", "psutil"):
    sys.modules[name] = None
import stylecli.training, stylecli.ops, stylecli.metrics
for package in (stylecli.training, stylecli.ops, stylecli.metrics):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from stylecli.training.recipe import load_recipe
from stylecli.training.trainer import train
from pathlib import Path
train(load_recipe("mine.toml", None, ["steps=1", "device=cpu"]), Path("bare"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "bare" / "release.safetensors").exists()
