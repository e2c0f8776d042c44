"""The contact sheet: sizes, proportions, labels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stylecli.montage import PAPER, gallery, grid, inset

RED = (220, 30, 30)


def picture(width: int = 60, height: int = 60, colour: tuple[int, int, int] = RED) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def mask(sheet: Image.Image, colour: tuple[int, int, int] = RED) -> np.ndarray:
    return (np.asarray(sheet) == colour).all(axis=2)


def extent(found: np.ndarray) -> tuple[int, int]:
    """Width and height of the box around what was found."""
    rows, columns = np.nonzero(found)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def test_size_without_labels() -> None:
    sheet = grid([[picture(), picture()], [picture(), None]], cell=64, gap=4)
    assert sheet.mode == "RGB"
    assert sheet.size == (4 + 2 * 68, 4 + 2 * 68)


def test_wide_picture_keeps_its_proportions() -> None:
    sheet = grid([[picture(400, 100)]], cell=80, gap=5)
    assert extent(mask(sheet)) == (80, 20)


def test_small_picture_is_not_enlarged() -> None:
    assert extent(mask(grid([[picture(10, 7)]], cell=80))) == (10, 7)


def test_labels_are_drawn_outside_the_pictures() -> None:
    plain = grid([[picture()]], cell=64, gap=4)
    labelled = grid([[picture()]], ["photo"], ["style"], cell=64, gap=4)
    assert labelled.width > plain.width and labelled.height > plain.height
    assert extent(mask(labelled)) == extent(mask(plain))
    pixels = np.asarray(labelled).astype(int)
    ink = (abs(pixels - PAPER).sum(axis=2) > 200) & ~mask(labelled)
    left, top = labelled.width - 68, labelled.height - 68
    assert ink[:, :left].any(), "the row label is missing"
    assert ink[:top, left:].any(), "the column label is missing"


def test_long_label_does_not_widen_its_column() -> None:
    short = grid([[picture()]], None, ["a"], cell=64)
    long = grid([[picture()]], None, ["a very long file name indeed.jpg" * 5], cell=64)
    assert short.size == long.size


def test_odd_labels_are_harmless() -> None:
    grid([[picture()]], ["line\nbreak"], ["日本語 ünïcode 🎨"], cell=64, title="a\tb")


def test_transparent_picture_shows_the_paper() -> None:
    sheet = grid([[Image.new("RGBA", (64, 64), (255, 0, 0, 0))]], cell=64)
    assert (np.asarray(sheet) == PAPER).all()


@pytest.mark.parametrize("mode", ["L", "P", "LA", "CMYK", "I;16", "1"])
def test_every_mode_is_drawn(mode: str) -> None:
    assert grid([[Image.new(mode, (20, 20))]], cell=32).mode == "RGB"


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        grid([])
    with pytest.raises(ValueError, match="2 row labels for 1 rows"):
        grid([[picture()]], ["a", "b"])
    with pytest.raises(ValueError, match="1 column labels for 2 columns"):
        grid([[picture(), picture()]], None, ["a"])


def test_gallery_wraps_and_captions() -> None:
    sheet = gallery(
        [(f"style {i}", picture(60, 30)) for i in range(5)], columns=3, cell=60, gap=4, font_size=10
    )
    assert sheet.size == (4 + 3 * 64, 4 + 2 * (30 + 15 + 4))
    assert int(mask(sheet).sum()) == 5 * 60 * 30
    assert (np.asarray(sheet).min(axis=2) < 100)[35:48].any(), "no caption under the first row"


def test_gallery_chooses_its_columns() -> None:
    wide = gallery([("x", picture()) for _ in range(12)], cell=60)
    assert wide.width > wide.height
    assert gallery([("x", picture())], cell=60, columns=9).width < 140
    with pytest.raises(ValueError, match="at least one picture"):
        gallery([])
    with pytest.raises(ValueError, match="at least one column"):
        gallery([("x", picture())], columns=0)


def test_inset_stands_in_the_lower_left_corner() -> None:
    both = inset(picture(100, 100), picture(50, 50, (0, 0, 255)), share=0.3)
    assert both.size == (100, 100)
    found = mask(both, (0, 0, 255))
    assert extent(found) == (30, 30)
    assert not found[:60].any() and not found[:, 40:].any()
