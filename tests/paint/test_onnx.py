"""``stylize export onnx``: what onnxruntime makes of it is what torch does.

The test of that is skipped where the extra ``[onnx]`` is not installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stylecli.__main__ import _run
from stylecli.errors import InputError
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.descriptor import DESCRIPTOR
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.paint import onnx
from stylecli.paint.stylizer import Stylizer

TINY = StyleRwkvConfig(
    widths=(4, 4, 4, 4), stem=4, code=4, content_blocks=(0, 0, 1, 0), style_blocks=(0, 0, 0, 0),
    decoder_blocks=(0, 0, 0, 0), texture_convs=(0, 0, 0, 0), experts=2, mapping=8,
)  # fmt: skip


@pytest.fixture
def stylizer() -> Stylizer:
    torch.manual_seed(0)
    network = StyleRwkv(TINY).requires_grad_(False)  # as loaded weights are
    for name, weight in network.named_parameters():
        if name.endswith(".bank"):  # zeros at first
            weight.normal_(0, 0.1)
    return Stylizer(network, DESCRIPTOR, torch.device("cpu"), torch.float32)


def test_onnxruntime_paints_the_same(
    tmp_path: Path, stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    made = dict(onnx.export_onnx(stylizer, tmp_path, 32, 48))
    assert sorted(path.name for path in made) == ["encoder.onnx", "painter.onnx"]
    path = tmp_path / "painter.onnx"
    assert max(made.values()) <= onnx.AGREEMENT
    session = runtime.InferenceSession(str(path))
    random = np.random.default_rng(1)
    content, style = (
        random.random((1, 3, 32, 48), np.float32),
        np.zeros((1, stylizer.network.style_size), np.float32),
    )
    painted = session.run(["painting"], {"content": content, "style": style})[0]
    with torch.no_grad():
        wanted = stylizer.network.paint(torch.from_numpy(content), torch.from_numpy(style))
    assert np.abs(painted - wanted.numpy()).max() < 1e-3


def test_what_differs_is_not_kept(
    tmp_path: Path, stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "check_packages", lambda: None)
    monkeypatch.setattr(onnx, "_apart", lambda path, inputs, wanted: 0.1)
    monkeypatch.setattr(
        torch.onnx, "export", lambda *rest, **how: SimpleNamespace(save=lambda path: path.write_bytes(b"x"))
    )
    with pytest.raises(InputError, match="differs from torch's by"):
        list(onnx.export_onnx(stylizer, tmp_path / "other", 32, 32))
    assert not list((tmp_path / "other").glob("*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "512"], "write WIDTHxHEIGHT"),
        (["--size", "512x8"], "write WIDTHxHEIGHT"),
        (["-o", "there"], "painter.onnx exists already"),
        (["--model", "stylemamba-s"], "take stylerwkv-s"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, monkeypatch, capsys, options, words) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(onnx, "check_packages", lambda: None)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/painter.onnx").touch()
    assert _run(["export", "onnx", *options]) == 2
    assert words in capsys.readouterr().err


def test_without_the_packages_it_says_what_to_install(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    assert _run(["export", "onnx"]) == 2
    assert "pip install 'stylecli[onnx]'" in capsys.readouterr().err
