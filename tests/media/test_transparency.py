"""Colours that alpha hides show nowhere: not in a painting, not around a smaller picture, not in a style."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from PIL import Image

from stylecli.media import Picture, read_picture, repaint, resize_to_fit, visible, write_picture
from stylecli.media.transparency import continued
from stylecli.paint.options import PaintOptions
from stylecli.paint.stylizer import Stylizer
from stylecli.run.painters import paint

KINDS = [np.uint8, np.uint16]


def disc(hidden: float, kind: type = np.uint8, colour: float = 1.0, soft: bool = True) -> Picture:
    """A disc of one colour on a transparent ground that is said to be of another."""
    y, x = np.mgrid[0:96, 0:110] - 48
    away = np.hypot(y, x)
    cover = np.clip(30.5 - away, 0, 1) if soft else away < 30
    white = np.iinfo(kind).max
    pixels = np.where(cover[..., None] > 0, colour, hidden) * np.full(3, white)
    return Picture(np.rint(pixels).astype(kind), np.rint(cover * white).astype(kind))


@pytest.fixture(scope="module")
def stylizer(tmp_path_factory: pytest.TempPathFactory) -> Stylizer:
    style = read_picture(draw(tmp_path_factory.mktemp("style") / "style.png", seed=3))
    return Stylizer.from_pretrained(device="cpu").encode_style(style.pixels)


def test_a_painting_does_not_depend_on_hidden_colours(stylizer: Stylizer) -> None:
    painted = [repaint(disc(hidden), lambda p: paint(stylizer, PaintOptions(), p)) for hidden in (0, 1)]
    assert painted[0].alpha is not None
    shown = painted[0].alpha > 0
    assert (painted[0].pixels[shown] == painted[1].pixels[shown]).all()


def test_nor_on_those_of_later_frames(tmp_path: Path, stylizer: Stylizer) -> None:
    results = []
    for hidden in (0, 1):
        frames = [
            Image.fromarray(np.dstack([d.pixels, d.alpha])) for d in (disc(hidden), disc(hidden, soft=False))
        ]
        frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=50)
        got = read_picture(tmp_path / "a.png", animated=True)
        results.append(repaint(got, lambda p: paint(stylizer, PaintOptions(), p)).more[0])
    shown = results[0].alpha > 0
    assert (results[0].pixels[shown] == results[1].pixels[shown]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_visible_colours_go_on_behind_hidden_ones(kind: type) -> None:
    white = np.iinfo(kind).max
    half = disc(0, kind, 0.5)
    filled = continued(half.pixels, half.alpha)
    assert np.abs(filled / white - 0.5).max() < 2 / 255
    opaque = np.full(half.size, white, kind)
    assert continued(half.pixels, opaque) is half.pixels and continued(half.pixels, None) is half.pixels
    nothing = continued(half.pixels, np.zeros(half.size, kind))
    assert len(np.unique(nothing)) == 1  # nothing of what is hidden shows


def test_the_nearest_colour_goes_on() -> None:
    pixels = np.zeros((33, 64, 3), np.uint8)
    pixels[:, :10], pixels[:, -10:] = (200, 0, 0), (0, 0, 200)
    alpha = np.zeros((33, 64), np.uint8)
    alpha[:, :10] = alpha[:, -10:] = 255
    filled = continued(pixels, alpha)
    assert (filled[alpha > 0] == pixels[alpha > 0]).all()
    assert (filled[:, 12, 0] > 150).all() and (filled[:, -13, 2] > 150).all()
    assert (filled.astype(int).sum(-1) > 150).all()  # no dark seam between


def test_almost_transparent_counts_little() -> None:
    given = disc(0, soft=False)
    faint = np.maximum(given.alpha, 1)  # a veil of 1 of 255 over the ground
    filled = continued(given.pixels, faint)
    assert filled[given.alpha == 0].min() > 220 and continued(filled, given.alpha)[0, 0, 0] > 220


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_smaller_pictures_have_no_edge(kind: type, hidden: float) -> None:
    small = resize_to_fit(disc(hidden, kind, 0.6), 41)
    assert small.alpha is not None and small.alpha.dtype == small.pixels.dtype == kind
    assert np.abs(small.pixels / np.iinfo(kind).max - 0.6).max() < 2 / 255
    plain = resize_to_fit(Picture(small.pixels, None), 30)
    opaque = resize_to_fit(Picture(small.pixels, np.full(small.size, np.iinfo(kind).max, kind)), 30)
    assert (plain.pixels == opaque.pixels).all()


def test_a_style_is_what_is_visible_of_it(stylizer: Stylizer) -> None:
    vectors = []
    for hidden in (0, 1):
        given = disc(hidden, colour=0.3)
        seen = visible(given.pixels, given.alpha)
        assert seen.shape == (61, 61, 3)
        bound = stylizer.encode_style(seen)
        assert bound.style is not None
        vectors.append(bound.style.vector)
    assert (vectors[0] == vectors[1]).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_no_strength_gives_hidden_colours_back(tmp_path: Path, suffix: str) -> None:
    given = disc(0.2)
    write_picture(repaint(given, np.array, keep=1.0), tmp_path / f"a{suffix}", quality=100)
    with Image.open(tmp_path / f"a{suffix}") as written:
        assert (np.asarray(written) == np.dstack([given.pixels, given.alpha])).all()
    write_picture(repaint(given, np.array), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert np.asarray(written)[0, 0, 0] > 250  # a painting has its own colours there


def test_paper_shows_through_a_sheet(tmp_path: Path, stylize) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "styles").mkdir()
    black = disc(0, colour=0.5)
    for name in ("photo.png", "styles/one.png"):
        Image.fromarray(np.dstack([black.pixels, black.alpha])).save(tmp_path / name)
    done = stylize("sheet", "photo.png", "-s", "styles", "-o", "sheet.png", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert np.asarray(sheet.convert("L")).min() > 20  # ink of the labels; black from nowhere else
        dark = (np.asarray(sheet.convert("L")) < 40).mean()
    assert dark < 0.01
