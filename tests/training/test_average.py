"""``stylize train average``: by hand, and what has no mean."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stylecli.errors import UsageError, WeightsError
from stylecli.files.atomic import WriteError
from stylecli.models.registry import training_record
from stylecli.training.average import average, parse_shares
from stylecli.training.checkpoint import save_release


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in (("a", 1.0), ("b", 2.0)):
        weights = {"read.w": torch.full((2, 3), value), "paint.w": torch.full((4,), 3 * value)}
        save_release(
            tmp_path / f"{name}.safetensors", weights, '{"width": 3, "depth": 1}', {"step": 7}, ["read."]
        )
    save_release(tmp_path / "wide.safetensors", {"read.w": torch.ones(2, 4)}, '{"width": 4}', {})
    weights = {"read.w": torch.ones(2, 3), "paint.w": torch.ones(4)}
    save_release(tmp_path / "deep.safetensors", weights, '{"width": 3, "depth": 2}', {})
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    save_file(weights, tmp_path / "odd.safetensors", {"config": "width 3"})
    save_file(weights, tmp_path / "foreign.safetensors", {"config": "{}", "training": "by hand"})


@pytest.mark.usefixtures("files")
def test_the_mean_by_hand_and_where_it_comes_from(tmp_path):
    out = tmp_path / "c.safetensors"
    average(parse_shares(["a.safetensors:0.6", "b.safetensors:0.2"]), out)  # shares of their sum
    stored = load_file(out)
    assert stored["read.w"].dtype == torch.int8  # eight bits stay eight bits
    found = stored["read.w"].float() * stored["read.w.scale"]
    torch.testing.assert_close(found, torch.full((2, 3), 0.75 * 1 + 0.25 * 2))
    torch.testing.assert_close(stored["paint.w"].float(), torch.full((4,), 0.75 * 3 + 0.25 * 6))
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["config"]) == {"width": 3, "depth": 1}
    parts = training_record(out)["average"]
    assert [(p["file"], p["share"], p["step"]) for p in parts] == [
        ("a.safetensors", pytest.approx(0.75), 7),
        ("b.safetensors", pytest.approx(0.25), 7),
    ]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("texts", "kind", "says"),
    [
        (
            ["a.safetensors:0.5", "wide.safetensors:0.5"],
            UsageError,
            "wide.safetensors: of another network than a",
        ),
        (
            ["a.safetensors:0.5", "deep.safetensors:0.5"],
            UsageError,
            "deep.safetensors: of another configuration",
        ),
        (["a.safetensors:1"], UsageError, "two weights files or more"),
        (["a.safetensors:1", "b.safetensors:-1"], UsageError, "a sum above 0"),
        (["a.safetensors:half", "b.safetensors:1"], UsageError, "write it as FILE:SHARE"),
        (["a.safetensors:1", "broken.safetensors:1"], WeightsError, "broken.safetensors"),
        (["a.safetensors:1", "odd.safetensors:1"], WeightsError, "odd.safetensors"),
        (["a.safetensors:1", "missing.safetensors:1"], WeightsError, "missing.safetensors"),
    ],
)
def test_what_has_no_mean_is_one_line(texts, kind, says, tmp_path):
    with pytest.raises(kind, match=says) as error:
        average(parse_shares(texts), tmp_path / "c.safetensors")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "c.safetensors").exists()


@pytest.mark.usefixtures("files")
def test_a_record_of_somebody_else_is_left_out(tmp_path):
    average(parse_shares(["foreign.safetensors:1", "foreign.safetensors:1"]), tmp_path / "c.safetensors")
    assert training_record(tmp_path / "c.safetensors")["average"][0].keys() == {"file", "share"}


@pytest.mark.usefixtures("files")
def test_what_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(WriteError, match="part of the path is a file") as error:
        average(
            parse_shares(["a.safetensors:1", "b.safetensors:1"]), tmp_path / "a.safetensors" / "c.safetensors"
        )
    assert "\n" not in str(error.value)
