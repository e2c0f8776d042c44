"""A result that is there is taken for finished only where it was made as is asked for now."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from film_kit import LONG, Film, stopped_after_a_group
from PIL import Image

import stylecli
from stylecli.__main__ import _run
from stylecli.errors import WeightsError
from stylecli.models.registry import find_model
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.paint.options import LoadOptions, PaintOptions
from stylecli.paint.settings import differences
from stylecli.paint.stylizer import Stylizer
from stylecli.training.checkpoint import save_release

BUNDLED = Path(stylecli.__file__).parent / "assets" / "weights"


def other_weights(path: Path) -> Path:
    """Of the same network and size, with one number changed."""
    data = bytearray((BUNDLED / "stylerwkv-s.safetensors").read_bytes())
    data[-64] ^= 0x40
    path.write_bytes(data)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png", seed=3), draw(tmp_path / "styles" / "s.png", seed=3)
    Film(frames=2).write(tmp_path / "f.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


IMAGE = ["image", "a.png", "-s", "s.png"]
FILM = ["video", "f.mp4", "-s", "s.png"]
SHEET = ["sheet", "a.png", "-s", "styles", "--max-size", "32"]


@pytest.mark.parametrize(
    ("command", "target"), [(IMAGE, "a.s.png"), (FILM, "f.s.mp4"), (SHEET, "a.sheet.png")], ids=lambda x: x[0]
)
def test_other_settings_are_told_and_the_same_are_done(here, capsys, command, target):
    assert _run(command) == 0
    made = (here / target).read_bytes()
    capsys.readouterr()
    assert _run(command) == 0
    said = capsys.readouterr().err
    assert "exist" in said and "other settings" not in said
    other_weights(here / "own.safetensors")
    changes = [
        (["--strength", "0.6"], "strength 1, now 0.6"),
        (["--stroke-size", "0.25"], "stroke-size 1, now 0.25"),
        (["--preserve-color", "--seed", "7"], "(preserve-color off, now on; seed 0, now 7)"),
        (["--seed", "7"], "seed 0, now 7"),
        (["--weights", "own.safetensors"], "weights"),
        (["--dtype", "bf16"], "dtype float32, now bfloat16"),
    ]
    for extra, words in changes:
        assert _run([*command, *extra]) == 1, extra
        said = capsys.readouterr().err
        assert "made with other settings" in said and "--overwrite" in said
        assert words in said or command is FILM
    assert _run([*command, "--weights", "missing.safetensors"]) == 3
    assert "no such file" in capsys.readouterr().err
    assert (here / target).read_bytes() == made
    draw(here / "s.png", seed=5), draw(here / "styles" / "s.png", seed=5)
    assert _run(command) == 1
    assert "other settings" in capsys.readouterr().err
    assert _run([*command, "--overwrite"]) == 0
    assert _run(command) == 0


def test_a_film_is_not_resumed_with_other_weights_dtype_or_options(here, capsys):
    Film(frames=LONG, size=(32, 32)).write(here / "f.mp4")
    with stopped_after_a_group():
        assert _run(FILM) == 130
    other_weights(here / "own.safetensors")
    for extra in (
        ["--weights", "own.safetensors"],
        ["--dtype", "bf16"],
        ["--stroke-size", "2"],
        ["--seed", "3"],
    ):
        assert _run([*FILM, "--resume", *extra]) == 1, extra
        assert "with other options" in capsys.readouterr().err
    same = shutil.copy(BUNDLED / "stylerwkv-s.safetensors", here / "same.safetensors")
    assert _run([*FILM, "--resume", "--weights", str(same)]) == 0  # a file of the same numbers
    assert re.search("going on after (48|96) frames", capsys.readouterr().err)


def test_a_saved_style_of_other_weights_of_the_same_size_is_refused(here):
    from stylecli.errors import UsageError
    from stylecli.paint.style import Style

    picture = np.full((32, 32, 3), 90, np.uint8)
    one = Stylizer.from_pretrained(device="cpu").encode_style(picture)
    other = Stylizer.from_pretrained(other_weights(here / "own.safetensors"), device="cpu")
    one.style.save(here / "style.safetensors")
    saved = Style.load(here / "style.safetensors")
    assert saved.network == one.weights != other.weights
    with pytest.raises(UsageError, match="other weights"):
        other.with_style(saved)
    with pytest.raises(UsageError, match="different networks"):
        Style.blend([(saved, 1.0), (other.encode_style(picture).style, 1.0)])


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 0.5},
        {"preserve_color": True},
        {"stroke_size": 2.0},
        {"seed": 1},
        {"refine": 3},
        {"polish": 3},
        {"colour_only": True},
    ],
)
def test_each_option_is_in_the_fingerprint(change):
    assert (
        PaintOptions(**change).fingerprint() != PaintOptions().fingerprint() == PaintOptions().fingerprint()
    )


def test_what_is_loaded_is_in_the_fingerprint(tmp_path):
    plain = LoadOptions().fingerprint()
    others = [LoadOptions(dtype="bf16"), LoadOptions(device="cuda"), LoadOptions("stylemamba-s")]
    others.append(LoadOptions(weights=other_weights(tmp_path / "own.safetensors")))
    assert len({plain, *(one.fingerprint() for one in others)}) == 5
    assert LoadOptions(tile=64).fingerprint() == plain  # strips give the same picture
    assert LoadOptions(device="cuda:1").fingerprint() == LoadOptions(device="cuda").fingerprint()


def test_auto_and_what_is_not_known_agree_with_anything():
    assert differences({"dtype": "float32"}, {"dtype": "auto", "strength": 0.5}) == []
    assert differences({"weights": "0" * 16}, {"weights": "1" * 16}) == ["weights"]


def test_files_say_what_they_are(tmp_path):
    """Kind, format and fingerprint: stated in new files, worked out of old ones."""
    from safetensors import safe_open

    from stylecli.weights.identity import fingerprint_of, identify

    old = BUNDLED / "stylerwkv-s.safetensors"
    with safe_open(old, "pt") as file:
        config = file.metadata()["config"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    new = tmp_path / "new.safetensors"
    save_release(new, tensors, config, {})
    assert identify(new).kind == "style-rwkv" == find_model(old).descriptor.kind
    with safe_open(new, "pt") as file:
        assert file.metadata()["fingerprint"] == fingerprint_of(new)
    record = json.loads(new.read_bytes()[8 : 8 + int.from_bytes(new.read_bytes()[:8], "little")])
    assert record["__metadata__"]["format"] == "1"
    data = new.read_bytes().replace(b'"format":"1"', b'"format":"9"')
    (tmp_path / "newer.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=r"newer\.safetensors: of format 9.*update"):
        find_model(tmp_path / "newer.safetensors")


def test_a_network_that_is_guided_otherwise_is_named(here, capsys):
    config = StyleMambaConfig(widths=(8, 16, 16), blocks=(1, 1, 1))  # without style vectors
    save_release(here / "phrases.safetensors", StyleMamba(config).state_dict(), config.to_json(), {})
    assert _run([*IMAGE, "--model", "phrases.safetensors"]) == 2
    assert "give it one (--prompt" in capsys.readouterr().err


@pytest.mark.parametrize("network", ["stylerwkv-s", "stylemamba-s"])
def test_pictures_and_phrases_guide_both_networks(here, network):
    """The prior makes style vectors of phrases, StyleRWKV's encoder of pictures."""
    made = {}
    for style in (["-s", "s.png"], ["--prompt", "ukiyo-e"], ["--blend", "s.png:0.5,ukiyo-e:0.5"]):
        target = here / f"{len(made)}.png"
        assert _run(["image", "a.png", *style, "--model", network, "-o", str(target)]) == 0
        made[target] = np.asarray(Image.open(target), float)
    assert all(np.abs(a - b).mean() > 1 for a, b in itertools.combinations(made.values(), 2))
