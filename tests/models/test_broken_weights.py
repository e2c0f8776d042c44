"""Weights that are no such weights: one line that names the file, soon, and nothing painted black."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stylecli.__main__ import _run
from stylecli.errors import InputError, UsageError, WeightsError
from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.config import JsonConfig
from stylecli.models.registry import load_network
from stylecli.models.siglip import SiglipConfig, load_siglip
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.paint.style import Style
from stylecli.paint.stylizer import Stylizer
from stylecli.weights import locate

KINDS: dict[str, tuple[str, type[JsonConfig], Callable[[Path], Any]]] = {
    "style-rwkv": ("stylerwkv-s", StyleRwkvConfig, load_network),
    "style-mamba": ("stylemamba-s", StyleMambaConfig, lambda path: load_network(path, "style-mamba")),
    "autoencoder": ("autoencoder-s", AutoencoderConfig, lambda path: load_network(path, "autoencoder")),
    "siglip": ("siglip-s", SiglipConfig, load_siglip),
}
TEXTS = [
    "[]",
    "3",
    "null",
    '"x"',
    "",
    "{",
    "[" * 100_000,
    '{"unknown": 1}',
    '{"skip": NaN}',
    "1" * 5000,
    "\0",
]
WRONG: list[Any] = [
    0,
    -1,
    1 << 20,
    1 << 40,
    10**400,
    1e300,
    float("nan"),
    float("inf"),
    True,
    None,
    "x",
    [],
    {},
]
WRONG += [[0], [-1] * 4, [1 << 20] * 4, [1] * 10_000]


def written(
    path: Path, name: str, config: str | None, tensors: dict[str, torch.Tensor] | None = None
) -> Path:
    original = locate(name)
    with safe_open(original, "pt") as file:
        metadata = dict(file.metadata())
    metadata["config"] = metadata["config"] if config is None else config
    save_file(load_file(original) if tensors is None else tensors, path, metadata=metadata)
    return path


def broken(config: type[JsonConfig], name: str) -> Iterator[str]:
    """The file's own configuration with one value replaced, for every field and every wrong value."""
    yield from TEXTS
    with safe_open(locate(name), "pt") as file:
        own = json.loads(file.metadata()["config"])
    for field in fields(config):  # type: ignore[arg-type]
        for value in WRONG:
            if value != own.get(field.name, field.default) and not (value is True and field.type == "bool"):
                yield json.dumps(own | {field.name: value})


@pytest.mark.parametrize("kind", KINDS)
def test_broken_configurations(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shapes of the weights: whatever passes can be painted with."""
    name, config, load = KINDS[kind]
    path, tensors = tmp_path / "own.safetensors", load_file(locate(name))
    passed = []
    count = 0
    for text in broken(config, name):
        count += 1
        save_file({"x": torch.zeros(1)}, path, metadata={"config": text})
        monkeypatch.setattr("stylecli.models.loading.load", lambda _: dict(tensors))
        try:
            load(path)
        except WeightsError as error:
            said = str(error)
            assert said.startswith(f"{path}: not weights of ") and "\n" not in said and len(said) < 400, (
                text[:99],
                said,
            )
        else:
            passed.append(text)
    unshaped = {
        "finest_skip",
        "rescans",
        "noise",
        "max_offset",
        "detail_injection",
        "guidance",
        "limit",
        "threshold",
        "shift_groups",
    }
    with safe_open(locate(name), "pt") as file:
        own = json.loads(file.metadata()["config"])
    for text in passed:
        changed = {key for key, value in json.loads(text).items() if value != own.get(key)}
        assert changed <= unshaped | {"vocabulary", "text_heads", "tokens"}, text[:300]
    assert count > 60


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path: Path, kind: str, value: float) -> None:
    name, _, load = KINDS[kind]
    tensors = load_file(locate(name))
    key = next(
        key for key, tensor in sorted(tensors.items()) if tensor.is_floating_point() and tensor.numel() > 1
    )
    tensors[key].view(-1)[-1] = value
    path = written(tmp_path / "own.safetensors", name, None, tensors)
    with pytest.raises(WeightsError, match=r"own\.safetensors: damaged weights: .* no numbers"):
        load(path)


def test_features_that_are_no_numbers(tmp_path: Path) -> None:
    """Weights that are numbers, so large that what they give is not."""
    stylizer = Stylizer.from_pretrained(device="cpu", dtype="fp32").encode_style(
        np.zeros((32, 32, 3), np.uint8)
    )
    assert stylizer.style is not None
    bad = Style(torch.full_like(stylizer.style.vector, float("nan")))
    bad.save(tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match="no numbers"):
        stylizer.with_style(Style.load(tmp_path / "bad.safetensors"))
    huge = stylizer.with_style(Style(stylizer.style.vector * 1e37))
    for photo in (
        np.full((40, 40, 3), 99, np.uint8),
        np.full((40, 40, 3), 99, np.uint16),
        np.full((40, 40, 3), 0.5, np.float32),
    ):
        with pytest.raises(InputError, match="no numbers"):
            huge(photo)


@pytest.mark.parametrize("weights", [(1e308, 1e308), (5e-324, 5e-324), (1e308, 0.0)])
def test_blends_of_extreme_weights(weights: tuple[float, float]) -> None:
    one, two = Style(torch.ones(1, 4)), Style(torch.full((1, 4), 3.0))
    mixed = Style.blend([(one, weights[0]), (two, weights[1])]).vector
    assert mixed.tolist() == [[2.0] * 4] if weights[1] else [[1.0] * 4]
    for wrong in ((float("nan"), 1), (float("inf"), 1), (-1, 1), (0, 0)):
        with pytest.raises(UsageError, match="finite weights of zero or more"):
            Style.blend([(one, wrong[0]), (two, wrong[1])])


@pytest.mark.usefixtures("styles")
@pytest.mark.parametrize(
    ("command", "variables", "code", "words"),
    [
        (
            ["weights", "list"],
            {"STYLIZE_CACHE": "~nouser/x"},
            2,
            "there is no such user",
        ),
        (
            ["--weights-manifest", "deep.toml", "image", "photo.png", "-s", "starry.jpg"],
            {},
            3,
            "nested too deeply",
        ),
        (
            ["weights", "list"],
            {"STYLIZE_WEIGHTS_MANIFEST": "~nouser/x"},
            3,
            "STYLIZE_WEIGHTS_MANIFEST=~nouser/x",
        ),
        (
            ["image", "photo.png", "--blend", "starry.jpg:1e308,wave.png:1e308", "--dry-run"],
            {},
            0,
            "starry50-wave50",
        ),
        (["text", "photo.png", "--blend", "wood:1e308,ink:1e308", "--dry-run"], {}, 0, "wood50-ink50"),
        (["sheet", "photo.png", "-s", "looks", "--max-size", "1000000"], {}, 0, "1 of 1 styles"),
    ],
)
def test_as_typed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    variables: dict[str, str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    draw(tmp_path / "photo.png", 48, 40)
    draw(tmp_path / "looks" / "a.png", 48, 40)
    (tmp_path / "deep.toml").write_text("a = " + "[" * 20_000)
    assert _run(command) == code
    said = capsys.readouterr().err
    assert words in said and "unexpected" not in said
