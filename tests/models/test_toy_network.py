"""One folder makes a network: it paints an image, a film and a sheet, and no other file knows of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from film_kit import Film, look
from PIL import Image
from safetensors.torch import save_file

import stylecli.models
from stylecli.__main__ import _run
from stylecli.models.registry import descriptors, find_model

NETWORKS = Path(__file__).parents[1] / "networks"
RED = (200, 40, 20)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stylecli.models, "__path__", [*stylecli.models.__path__, str(NETWORKS)])
    monkeypatch.chdir(tmp_path)
    config = {"config": json.dumps({"blot_share": 0.75})}
    save_file({"share": torch.tensor(0.75)}, tmp_path / "blot.safetensors", metadata=config)
    Image.new("RGB", (40, 40), RED).save(tmp_path / "red.png")
    Image.new("RGB", (48, 32)).save(tmp_path / "black.png")
    (tmp_path / "styles").mkdir()
    Image.new("RGB", (40, 40), RED).save(tmp_path / "styles" / "red.png")
    Film(frames=3, size=(48, 32)).write(tmp_path / "f.mp4")
    return tmp_path


def test_a_network_of_one_folder_paints_an_image_a_film_and_a_sheet(here: Path) -> None:
    wanted = np.multiply(RED, 0.75)
    model = ("--model", "blot.safetensors")
    assert _run(["image", "black.png", "-s", "red.png", *model, "-o", "a.png"]) == 0
    assert np.abs(np.asarray(Image.open(here / "a.png")) - wanted).max() <= 1
    assert _run(["video", "f.mp4", "-s", "red.png", *model, "-o", "a.mp4"]) == 0
    before, after = look(here / "f.mp4").pictures, look(here / "a.mp4").pictures
    for frame, painted in zip(before, after, strict=True):
        assert np.abs(painted.mean((0, 1)) - (wanted + 0.25 * frame.mean((0, 1)))).max() <= 3
    assert _run(["sheet", "black.png", "-s", "styles", *model, "-o", "sheet.png"]) == 0
    drawn = np.asarray(Image.open(here / "sheet.png").convert("RGB"))
    assert (np.abs(drawn - wanted).max(2) <= 1).sum() > 48 * 32 / 2


def test_what_it_is_follows_from_its_configuration(here: Path) -> None:
    assert find_model(here / "blot.safetensors").descriptor is descriptors()["blot"]
    assert {"style-rwkv", "style-mamba"} <= descriptors().keys()
