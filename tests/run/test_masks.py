"""Where masks let a picture be painted: there it is the painting, elsewhere it is what it was, to the bit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw
from film_kit import LONG, Film, stopped_after_a_group
from icc_kit import wide_rgb
from PIL import Image

from stylecli.__main__ import _run
from stylecli.media import Picture, write_picture


def raw(path: Path) -> np.ndarray:
    """A PNG's own numbers, of which nobody has thought anything."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def disc(path: Path, width: int = 96, height: int = 64, left: int = 30) -> np.ndarray:
    """A hard mask, saved at ``path``; (H, W)."""
    y, x = np.mgrid[0:height, 0:width]
    mask = (((x - left) ** 2 + (y - 32) ** 2 < 20**2) * 255).astype(np.uint8)
    Image.fromarray(mask).save(path)
    return mask


def photo(path: Path, kind: str) -> None:
    pixels = np.asarray(Image.open(draw(path, 96, 64, seed=1)))
    if kind == "16 bits":
        noise = np.random.default_rng(0).integers(0, 257, pixels.shape, np.uint16)
        write_picture(Picture(pixels * np.uint16(256) + noise), path)
    elif kind == "own colours":
        Image.fromarray(pixels).save(path, icc_profile=wide_rgb())
    elif kind == "alpha":
        alpha = np.where(np.arange(96) < 50, 255, 0).astype(np.uint8)
        Image.fromarray(np.dstack([pixels, np.tile(alpha, (64, 1))])).save(path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (
        draw(tmp_path / "a.png", 96, 64, seed=1),
        draw(tmp_path / "s.png", seed=3),
        draw(tmp_path / "t.png", seed=8),
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "own colours", "alpha"])
@pytest.mark.parametrize("options", [(), ("--tile", "16", "--strength", "0.7", "--preserve-color")])
def test_outside_nothing_changes_and_inside_it_is_the_painting(here, kind, options):
    photo(here / "a.png", kind)
    mask = disc(here / "m.png")
    assert _run(["image", "a.png", "-s", "s.png", "-o", "plain.png", *options]) == 0
    assert _run(["image", "a.png", "-s", "s.png", "-o", "masked.png", "--mask", "m.png", *options]) == 0
    before, plain, masked = (raw(here / name) for name in ("a.png", "plain.png", "masked.png"))
    assert masked.dtype == before.dtype == plain.dtype
    assert (masked[mask == 0] == before[mask == 0]).all()
    assert (masked[mask == 255] == plain[mask == 255]).all()
    assert (plain != before).mean() > 0.3


def test_a_mask_of_any_kind_and_size(here):
    mask = disc(here / "m.png")
    Image.fromarray(np.dstack([np.zeros((64, 96, 3), np.uint8), mask])).save(here / "alpha.png")
    Image.fromarray(255 - mask).save(here / "black.png")
    Image.fromarray(mask).convert("RGB").save(here / "m.jpg", quality=85)
    Image.fromarray(mask).resize((288, 192), Image.Resampling.NEAREST).save(
        here / "large.webp", lossless=True
    )
    Image.fromarray(mask.astype(np.uint16) * np.uint16(257)).save(here / "deep.png")
    (here / "masks").mkdir()
    Image.fromarray(mask).save(here / "masks" / "a.tif")
    assert _run(["image", "a.png", "-s", "s.png", "-o", "expected.png", "--mask", "m.png"]) == 0
    expected = raw(here / "expected.png").astype(int)
    for number, (name, *more) in enumerate(
        (
            ["alpha.png"],
            ["black.png", "--invert-mask"],
            ["m.jpg"],
            ["large.webp"],
            ["deep.png"],
            ["masks"],
        )
    ):
        target = f"{number}.png"
        assert _run(["image", "a.png", "-s", "s.png", "-o", target, "--mask", name, *more]) == 0
        off = np.abs(raw(here / target) - expected)
        if name == "m.jpg":  # its edge has ringing; what is flat is as it was
            assert (off.max(-1) > 2).mean() < 0.15 and off[:, 70:].max() == 0
        else:
            assert off.max() <= (1 if name == "large.webp" else 0), name


def test_grey_paints_partly_and_feathers_are_soft_on_either_side(here):
    Image.fromarray(np.full((64, 96), 102, np.uint8)).save(here / "grey.png")
    step = np.zeros((64, 96), np.uint8)
    step[:, 48:] = 255
    Image.fromarray(step).save(here / "step.png")
    for target, *options in (
        ["plain.png"],
        ["partly.png", "--mask", "grey.png"],
        ["soft.png", "--mask", "step.png", "--feather", "10"],
    ):
        assert _run(["image", "a.png", "-s", "s.png", "-o", target, *options]) == 0
    before, plain = (raw(here / name).astype(float) for name in ("a.png", "plain.png"))
    assert np.abs(raw(here / "partly.png") - (before + 0.4 * (plain - before))).max() <= 0.51
    soft = raw(here / "soft.png").astype(float)
    share = ((soft - before) * (plain - before)).sum((0, 2)) / ((plain - before) ** 2).sum((0, 2))
    assert (soft[:, :37] == before[:, :37]).all() and (soft[:, 59:] == plain[:, 59:]).all()
    assert (np.diff(share[38:58]) > 0).all() and abs(share[47] + share[48] - 1) < 0.05


def test_regions_lie_over_each_other_in_their_order(here):
    left, right = disc(here / "l.png", left=30), disc(here / "r:1.png", left=50)
    for style in ("s", "t"):
        assert _run(["image", "a.png", "-s", f"{style}.png"]) == 0
    regions = ["--region", "l.png:s.png", "--region", "r:1.png:t.png"]
    assert _run(["image", "a.png", *regions]) == 0
    assert (
        _run(["image", "a.png", "-o", "rest.png", *regions, "--region", "rest:s.png", "--mask", "l.png"]) == 0
    )
    before, s, t = (raw(here / name) for name in ("a.png", "a.s.png", "a.t.png"))
    over, under = right[..., None] == 255, left[..., None] == 255
    assert (raw(here / "a.s-t.png") == np.where(over, t, np.where(under, s, before))).all()
    assert (raw(here / "rest.png") == np.where(under, np.where(over, t, s), before)).all()


def test_after_phrases_too_and_pictures_beside_them(here):
    mask = disc(here / "m.png")
    assert _run(["text", "a.png", "--region", "m.png:ukiyo-e", "--region", "rest:s.png"]) == 0
    assert _run(["image", "a.png", "-s", "s.png", "-p", "ukiyo-e"]) == 0
    s, said = raw(here / "a.s.png"), raw(here / "a.ukiyo-e.png")
    assert (raw(here / "a.ukiyo-e-s.png") == np.where(mask[..., None] == 255, said, s)).all()
    assert _run(["text", "a.png", "ukiyo-e", "--region", "m.png:s.png"]) == 1  # no such picture
    assert _run(["text", "a.png", "-p", "ukiyo-e", "--region", "m.png:s.png"]) == 2


def test_a_sheet_has_masks(here, capsys):
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(here / "none.png")
    command = ["sheet", "a.png", "--styles", "s.png", "--max-size", "96", "--columns", "1", "-o"]
    for target, *mask in (["p.png"], ["all.png", "--mask", "none.png", "--invert-mask"]):
        assert _run([*command, target, *mask]) == 0
    assert _run([*command, "no.png", "--mask", "none.png"]) == 0
    plain, whole, kept = (raw(here / name) for name in ("p.png", "all.png", "no.png"))
    assert (plain == whole).all() and (plain != kept).any()
    assert _run([*command, "no.png"]) == 1
    assert "other settings (mask)" in capsys.readouterr().err
    assert _run([*command, "none.png", "--mask", "none.png", "--overwrite"]) == 2


def test_the_mask_is_a_setting(here, capsys):
    disc(here / "m.png")
    command = ["image", "a.png", "-s", "s.png"]
    assert _run([*command, "--mask", "m.png"]) == 0
    assert _run([*command, "--mask", "m.png"]) == 0
    assert "exist" in capsys.readouterr().err
    for options in ([], ["--mask", "m.png", "--feather", "3"], ["--mask", "m.png", "--invert-mask"]):
        assert _run([*command, *options]) == 1
        assert "other settings (mask)" in capsys.readouterr().err
    disc(here / "m.png", left=60)
    assert _run([*command, "--mask", "m.png"]) == 1
    assert _run([*command, "--mask", "m.png", "--overwrite"]) == 0
    assert _run(["image", "a.png", "-s", "s.png", "--mask", "m.png", "-o", "m.png", "--overwrite"]) == 2
    assert "is a mask itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["-s", "s.png", "--mask", "no.png"], 2, "mask no.png does not exist"),
        (["-s", "s.png", "--mask", "text.png"], 1, "failed a.png: mask text.png: not an image"),
        (["-s", "s.png", "--mask", "masks"], 1, "failed a.png: no mask of its name in masks (such as a.png)"),
        (["-s", "s.png", "--mask", "film.mp4"], 1, "mask film.mp4 is a film: it is for stylize video"),
        (["--mask", "m.png"], 2, "no style given: add --style IMAGE (repeatable), --prompt TEXT or --blend"),
        (["-s", "s.png", "--feather", "3"], 2, "--feather needs --mask"),
        (["-s", "s.png", "--invert-mask"], 2, "--invert-mask needs --mask"),
        (["-s", "s.png", "--region", "m.png:s.png"], 2, "--region says which style goes where"),
        (["--region", "m.png"], 2, "write MASK:STYLE"),
        (["--region", "no.png:s.png"], 2, "mask 'no.png' does not exist"),
        (["--region", "m.png:sz.png"], 2, "style image 'sz.png' does not exist; did you mean s.png?"),
        (["--region", "rest:s.png", "--region", "rest:s.png"], 2, "two for the rest"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(here, capsys, options, code, words):
    disc(here / "m.png")
    (here / "masks").mkdir()
    (here / "text.png").write_text("no picture")
    (here / "film.mp4").write_text("no film")
    assert _run(["image", "a.png", *options]) == code
    said = capsys.readouterr().err.splitlines()[0]
    assert words in said and "--mask --style" not in said


def test_of_a_folder_each_picture_has_its_own_mask(here):
    for name in ("p/x.png", "p/trip/x.png", "p/y.jpg"):
        draw(here / name, 96, 64, seed=1)
    for name, left in (("x.png", 20), ("trip/x.png", 60)):
        (here / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        disc(here / "masks" / name, left=left)
    assert _run(["image", "p", "-r", "-s", "s.png", "--mask", "masks", "-o", "out/"]) == 1  # y has none
    for name, left in (("x", 20), ("trip/x", 60)):
        changed = (raw(here / f"out/{name}.s.png") != raw(here / f"p/{name}.png")).any(-1)
        assert np.abs(np.flatnonzero(changed.any(0)).mean() - left) < 2


def sweeping(number: int, width: int, height: int) -> np.ndarray:
    """White on the left, by four pixels more in each frame."""
    line = np.where(np.arange(width) < 4 * number, 255, 0).astype(np.uint8)
    return np.repeat(np.tile(line, (height, 1))[..., None], 3, -1)


def test_a_film_of_masks_goes_with_the_film_and_an_interrupted_run_goes_on(here, capsys):
    for number in range(LONG):
        draw(here / f"f/{number:03d}.png", 64, 48, seed=number // 20)
    Film(frames=LONG, size=(64, 48), draw=sweeping).write(here / "m.mp4")
    regions = ["--region", "m.mp4:s.png", "--region", "rest:t.png", "--mask", "half.png"]
    Image.fromarray(sweeping(12, 64, 48)).save(here / "half.png")
    command = ["video", "f/%03d.png", *regions, "--stroke-size", "4", "-o"]
    assert _run([*command, "whole/%03d.png"]) == 0
    for style in ("s", "t"):
        alone = ["-s", f"{style}.png", "--stroke-size", "4", "--max-frames", "9", "-o", f"{style}/%03d.png"]
        assert _run(["video", "f/%03d.png", *alone]) == 0
    for number in (0, 3, 8):
        before, both, s, t = (raw(here / f"{name}/{number:03d}.png") for name in ("f", "whole", "s", "t"))
        assert (both[:, 48:] == before[:, 48:]).all()
        edge = min(48, 4 * number)
        clear = slice(0, max(0, edge - 4)), slice(edge + 4, 48)  # h264 blurs the mask's edge
        assert np.array_equal(both[:, clear[0]], s[:, clear[0]]), number
        assert np.array_equal(both[:, clear[1]], t[:, clear[1]]), number

    with stopped_after_a_group():
        assert _run([*command, "again/%03d.png"]) == 130
    assert _run([*command[:-1], "--feather", "2", "--resume", "-o", "again/%03d.png"]) == 1
    assert "with other options" in capsys.readouterr().err
    assert _run([*command[:-1], "--resume", "-o", "again/%03d.png"]) == 0
    assert [(here / f"again/{n:03d}.png").read_bytes() for n in range(LONG)] == [
        (here / f"whole/{n:03d}.png").read_bytes() for n in range(LONG)
    ]
