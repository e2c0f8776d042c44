"""``stylize text --backbone`` end to end: tiny networks in the published files, offline, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from backbones_kit import libraries, save_stand_ins
from conftest import Stylize, draw, environment
from PIL import Image

from stylecli.cli.text import Backbone, _iterations
from stylecli.models.backbones import BACKBONES

# Nothing may so much as look up an address.
NO_SOCKETS = """
import sys
def refuse(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname", "socket.__new__"):
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(refuse)
"""
RUN = "from stylecli.__main__ import _run\n"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    changes = {"STYLIZE_CACHE": str(folder / "cache"), "STYLIZE_OFFLINE": "", "STYLIZE_KERNELS": "off"}
    command = [sys.executable, "-c", program]
    env = environment(changes)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)


def test_the_command_knows_every_backbone() -> None:
    assert [b.value for b in Backbone] == ["own", *BACKBONES]
    assert [_iterations(None, b) for b in Backbone] == [0, 20, 20]


def test_both_backbones_paint_offline_and_keep_what_was_refined(tmp_path: Path) -> None:
    libraries()
    save_stand_ins(tmp_path / "cache" / "weights")
    draw(tmp_path / "photo.png", 90, 70, seed=1)
    text = [
        "text",
        "photo.png",
        "rusty old machine",
        "--dtype",
        "fp32",
        "--max-size",
        "80",
        "--stroke-size",
        "4",
    ]
    sd = [*text, "--backbone", "siglip-sd", "--refine", "2"]
    taesd = [*text, "--backbone", "siglip-taesd", "--refine", "1", "-o", "taesd.png"]
    commands = [[*sd, "-o", "a.png"], [*sd, "-o", "b.png"], taesd]
    done = run(tmp_path, f"{NO_SOCKETS}{RUN}raise SystemExit(any([_run(c) for c in {commands}]))")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("refining: 2 of 2,") == 1  # the second time it was there
    assert done.stderr.count("refining: 1 of 1,") == 1
    assert "far from everything" not in done.stderr  # in_domain_score is our own encoder's
    assert "Loading weights" not in done.stderr and "[transformers]" not in done.stderr
    a, b, c = (pixels(tmp_path / name) for name in ("a.png", "b.png", "taesd.png"))
    assert a.shape == c.shape == (62, 80, 3)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert len(list((tmp_path / "cache" / "refined").glob("*.safetensors"))) == 2


def test_a_missing_extra_is_one_line_with_what_to_install(tmp_path: Path) -> None:
    draw(tmp_path / "photo.png")
    command = ["text", "photo.png", "cubism", "--backbone", "siglip-sd"]
    program = f"import sys; sys.modules['transformers'] = None\n{RUN}raise SystemExit(_run({command}))"
    done = run(tmp_path, program)
    assert done.returncode == 2
    assert "pip install 'stylecli[backbones]'" in done.stderr.replace("\n", " ")
    assert "pip install '.[backbones]'" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "line"),
    [(("--refine", "0"), "has no trained weights"), (("--weights", "x.safetensors"), "none can be trained")],
)
def test_options_that_cannot_be_had_together(stylize: Stylize, tmp_path: Path, option, line: str) -> None:
    draw(tmp_path / "photo.png")
    result = stylize("text", "photo.png", "cubism", "--backbone", "siglip-sd", *option)
    assert result.returncode == 2
    assert line in result.stderr.decode()


def test_missing_files_are_named(stylize: Stylize, tmp_path: Path) -> None:
    libraries()
    draw(tmp_path / "photo.png")
    offline = {"STYLIZE_OFFLINE": "1", "STYLIZE_CACHE": os.fspath(tmp_path / "cache")}
    result = stylize("text", "photo.png", "cubism", "--backbone", "siglip-taesd", env=offline)
    assert result.returncode == 3
    assert "taesd" in result.stderr.decode() and "Traceback" not in result.stderr.decode()
