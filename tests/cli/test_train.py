"""``stylize train rwkv``: every option reaches the configuration it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylecli.__main__ import _run
from stylecli.training import rwkv


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[rwkv.TrainConfig]:
    """What training is called with, instead of training."""
    called: list[rwkv.TrainConfig] = []

    def train(config: rwkv.TrainConfig) -> Path:
        called.append(config)
        return config.out / "release.safetensors"

    monkeypatch.setattr(rwkv, "train", train)
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "paintings", "val"):
        Path(name).mkdir()
    Path("vgg.safetensors").write_bytes(b"")
    return called


FOLDERS = ["train", "rwkv", "--content", "photos", "--style", "paintings", "--vgg", "vgg.safetensors"]


def test_defaults(configs: list[rwkv.TrainConfig]) -> None:
    assert _run([*FOLDERS, "--device", "cpu"]) == 0
    config = configs[0]
    assert (config.content, config.style) == ([Path("photos")], [Path("paintings")])
    assert (config.out, config.crop, config.batch, config.lr) == (Path("runs/rwkv"), 256, 4, 1e-3)
    assert (config.device, config.resume, config.workers) == ("cpu", True, 1)


def test_every_option(configs: list[rwkv.TrainConfig], capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--style val --out o --steps 7 --crop 64 --batch 2 --lr 0.01 --fresh --warm-start vgg.safetensors"
    )
    options += " --device cpu --dtype fp32 --seed 3 --sheet-every 5 --save-every 6 --workers 2"
    options += " --val-content val --val-style paintings"
    assert _run([*FOLDERS, *options.split()]) == 0
    config = configs[0]
    assert config.style == [Path("paintings"), Path("val")]
    assert (config.out, config.steps, config.batch, config.lr) == (Path("o"), 7, 2, 0.01)
    assert (config.crop, config.first_crop) == (64, 64)
    assert (config.resume, config.warm_start, config.vgg) == (
        False,
        Path("vgg.safetensors"),
        Path("vgg.safetensors"),
    )
    assert (config.bf16, config.seed, config.workers) == (False, 3, 2)
    assert (config.sheet_every, config.save_every) == (5, 6)
    assert (config.val_content, config.val_style) == (Path("val"), Path("paintings"))
    assert "weights: o/release.safetensors" in capsys.readouterr().err


def test_interrupted(configs: list[rwkv.TrainConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    def train(config: rwkv.TrainConfig) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(rwkv, "train", train)
    assert _run(FOLDERS) == 130
