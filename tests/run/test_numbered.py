"""Numbered pictures keep their numbers, with gaps, in excerpts and where one of them is damaged."""

from pathlib import Path

import pytest
from conftest import draw

from stylecli.__main__ import _run


@pytest.mark.parametrize(
    ("options", "damaged", "kept"),
    [
        ([], None, [3, 4, 7, 12]),
        (["--start", "0.04"], None, [4, 7, 12]),
        (["--max-frames", "2"], None, [3, 4]),
        ([], 4, [3, 7, 12]),
    ],
    ids=["gaps", "excerpt", "few", "damaged"],
)
def test_pictures_keep_their_numbers(tmp_path: Path, options, damaged, kept) -> None:
    for number in (3, 4, 7, 12):
        draw(tmp_path / f"in_{number:03d}.png", 40, 32, seed=number)
    if damaged is not None:
        (tmp_path / f"in_{damaged:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    draw(tmp_path / "style.png", seed=7)
    pattern, result = str(tmp_path / "in_%03d.png"), str(tmp_path / "out_%03d.png")
    _run(["video", pattern, "-s", str(tmp_path / "style.png"), "-o", result, *options])
    assert sorted(int(path.stem[-3:]) for path in tmp_path.glob("out_*.png")) == kept
