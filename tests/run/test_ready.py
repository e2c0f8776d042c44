"""Ready styles: a name stands for a picture wherever one is taken, and the user's own are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from PIL import Image

from stylecli.__main__ import _run
from stylecli.run.masks import Masks
from stylecli.run.ready import find, own
from stylecli.run.style_specs import collect_styles, parse_blend, parse_regions
from stylecli.run.style_text import Prompt
from stylecli.run.timeline import parse_keys


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("stylecli.run.ready.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png", seed=3), draw(tmp_path / "m.png", seed=4)
    return tmp_path


def test_a_name_goes_where_a_picture_does(here: Path) -> None:
    path = find("@blueprint")
    with Image.open(path) as drawn:
        assert drawn.size == (512, 512)
    assert path.is_relative_to(here / "cache")
    written = path.stat().st_mtime_ns
    specs = [
        *collect_styles([Path("@blueprint")], ["@blueprint:3,s.png"]),
        parse_blend("@blueprint,ukiyo-e"),
        parse_regions(["m.png:s.png", "rest:@BluePrint"]),
        parse_keys(["0:@blueprint", "1:30:s.png"]).keys[0][1],
    ]
    assert all(path in spec.files for spec in specs)
    assert [spec.name for spec in specs] == [
        "blueprint",
        "blueprint75-s25",
        "blueprint50-ukiyo-e50",
        "s-blueprint",
        "blueprint",
    ]
    assert path.stat().st_mtime_ns == written
    # Another machine's numbers may differ in their last digit: the drawing is the same style all the same.
    before = specs[0].fingerprint()
    with Image.open(path) as drawn:
        drawn.convert("RGB").save(path, compress_level=1)
    assert specs[0].fingerprint() == before
    Path("s.png").rename("@blueprint")
    assert collect_styles([Path("@blueprint")], [])[0].files == [Path("@blueprint")]  # a file of that name


def test_paint_in_a_drawn_style_and_in_one_of_ones_own(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["styles", "add", "Bark", "s.png"]) == 0
    assert own() == {"bark": here / "data" / "stylecli" / "styles" / "bark.png"}
    (here / "s.png").unlink()
    assert _run(["image", "a.png", "-s", "@bark", "-s", "@color-blocks", "--max-size", "48"]) == 0
    made = [np.asarray(Image.open(f"a.{name}.png")).astype(int) for name in ("bark", "colour-blocks")]
    assert np.abs(made[0] - made[1]).mean() > 3
    assert _run(["sheet", "a.png", "--styles", "@bark", "--styles", "@blueprint", "--max-size", "32"]) == 0
    capsys.readouterr()
    assert _run(["styles", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(listed) >= 17 and listed[-1]["name"] == "@bark" and listed[-1]["kind"] == "your own"
    assert all(len(one["what"]) > 20 for one in listed)
    draw(here / "new.jpg")
    assert _run(["styles", "add", "bark", "new.jpg", "--overwrite"]) == 0
    assert [path.name for path in own().values()] == ["bark.jpg"]
    assert _run(["styles", "remove", "@bark"]) == 0
    assert own() == {} and _run(["image", "a.png", "-s", "@bark"]) == 2


def test_a_phrase_is_kept_and_goes_where_a_picture_does(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["styles", "add", "lake", "misty  lake", "--take", "2"]) == 0
    prompt = Prompt("misty lake", 1)
    specs = [
        *collect_styles([Path("@lake")], ["@lake:3,s.png"]),
        parse_regions(["m.png:s.png", "rest:@lake"]).layers[0][1],
        parse_keys(["0:@lake", "1:ukiyo-e"]).keys[0][1],
    ]
    assert [spec.name for spec in specs] == ["lake", "lake75-s25", "lake", "lake"]
    assert all(spec.parts[0][0] == prompt for spec in specs)
    capsys.readouterr()
    assert _run(["styles", "--json"]) == 0
    assert '"misty lake' in json.loads(capsys.readouterr().out.splitlines()[-1])["what"]
    assert _run(["sheet", "a.png", "--styles", "@lake", "--max-size", "32"]) == 0
    assert _run(["styles", "add", "lake", "s.png"]) == 2
    assert _run(["styles", "add", "lake", "s.png", "--overwrite"]) == 0
    assert [path.name for path in own().values()] == ["lake.png"]
    (here / "data/stylecli/styles/bad.phrase").write_text("one line")
    capsys.readouterr()
    assert _run(["image", "a.png", "-s", "@bad"]) == 1
    assert "not a phrase as 'stylize styles add' keeps it" in capsys.readouterr().err


def test_a_style_of_ones_own_is_learned_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "stylecli.paint.refine.refined", lambda stylizer, count, seed: asked.append((stylizer.style, count))
    )
    assert _run(["styles", "add", "bark", "s.png", "--refine", "7"]) == 0
    ((style, count),) = asked
    assert count == 7 and style.texture is not None


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["image", "a.png", "-s", "@woodblok"], 2, "'stylize styles' lists them; did you mean @woodblock?"),
        (["image", "a.png", "--blend", "@nean:2,s.png"], 2, "did you mean @neon?"),
        (["image", "a.png", "--region", "rest:@nean"], 2, "did you mean @neon?"),
        (["video", "a.gif", "--style-at", "0:@nean"], 2, "did you mean @neon?"),
        (["sheet", "a.png", "--styles", "@nean"], 2, "did you mean @neon?"),
        (["styles", "add", "neon", "s.png"], 2, "one of the styles that ship"),
        (["styles", "add", "all", "s.png"], 2, "a name has small letters"),
        (["styles", "add", "../x", "s.png"], 2, "a name has small letters"),
        (["styles", "add", "x", "text.png"], 1, "text.png: not an image"),
        (["styles", "add", "x", "no.png"], 2, "style image 'no.png' does not exist"),
        (["styles", "add", "x", "ukiyo-e", "--refine", "3"], 2, "--refine learns a style image"),
        (["styles", "add", "x", "s.png", "--take", "3"], 2, "--take is for phrases"),
        (["styles", "add", "x", "  "], 2, "the prompt is empty"),
        (["styles", "remove", "neon"], 2, "ships with stylize"),
        (["styles", "remove", "x"], 2, "none of your styles"),
        (["styles", "--sheet", "s.txt"], 2, "name a picture file"),
        (["styles", "--sheet", "s.png"], 2, "s.png exists already"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(here, capsys, command, code, words) -> None:
    (here / "text.png").write_text("no picture")
    assert _run(command) == code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and words in said[0]


def test_all_of_them_on_one_picture(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylecli.run import ready

    monkeypatch.setattr(ready, "_SIDE", 64)
    assert _run(["styles", "--sheet", "styles.png"]) == 0
    assert np.asarray(Image.open("styles.png")).std() > 40


def test_on_another_machine_it_is_the_same_style(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stylecli.run.images import ImageJob
    from stylecli.run.shipping import parcels, unpacked

    monkeypatch.setattr("stylecli.run.shipping.cache_dir", lambda: here / "cache")
    specs = [parse_regions(["m.png:s.png", "rest:@blueprint"])]
    job = ImageJob(["a.png"], specs, mask=Masks(Path("m.png"), invert=True))
    sent, before = parcels(job), job.specs[0].fingerprint()
    bytes_of = {parcel: parcel.path.read_bytes() for parcel in sent}
    for room in ("ready", "shipping"):
        monkeypatch.setattr(f"stylecli.run.{room}.cache_dir", lambda: here / "other")
    there = unpacked(job, sent, bytes_of.__getitem__)
    spec, masks = there.specs[0], [*there.specs[0].masks[1:], there.mask]
    assert spec.fingerprint() == before and len(spec.files) == 2
    assert all(path.is_relative_to(here / "other") for path in spec.files)
    assert all(one.path.is_relative_to(here / "other") and one.path.name == "m.png" for one in masks)
    assert there.mask.fingerprint(Path("a.png")) == job.mask.fingerprint(Path("a.png"))
