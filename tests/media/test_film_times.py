"""What is on screen when: slides, single frames, other rates, and films that become interlaced on their way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_kit import Film, look, through
from numpy.typing import NDArray

from stylecli.errors import InputError
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.source import open_source


def slide(number: int, width: int, height: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 40 + 60 * number, np.uint8)


SLIDES = [0, 5 * 12800, 10 * 12800]  # three, each for five seconds


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    return Film(frames=3, draw=slide, ticks=SLIDES, group=1).write(tmp_path / "slides.mkv")


# excerpt -> (seconds, which slide) of each frame
CUT = {
    "between two": (Excerpt(start=7), [(0, 1), (3, 2)]),
    "exactly at one": (Excerpt(start=5), [(0, 1), (5, 2)]),
    "within one": (Excerpt(start=6, end=8), [(0, 1)]),
    "within the first": (Excerpt(start=1, max_frames=1), [(0, 0)]),
    "up to one": (Excerpt(end=5), [(0, 0)]),
    "at a rate": (Excerpt(start=4, end=6, fps=Fraction(2)), [(0, 0), (0.5, 0), (1, 1), (1.5, 1)]),
}


@pytest.mark.parametrize("case", CUT.values(), ids=CUT.keys())
def test_an_excerpt_begins_with_what_is_on_screen(
    case: tuple[Excerpt, list[tuple[float, int]]], slides: Path, tmp_path: Path
) -> None:
    excerpt, wanted = case
    source = open_source(slides, excerpt)
    found = [
        (float(frame.pts * source.clip.time_base), round((float(frame.pixels.mean()) - 40) / 60))
        for frame in source.frames()
    ]
    assert found == wanted
    if excerpt.end == 8:  # a slide lasts as long as was asked for
        through(slides, tmp_path / "out.mp4", excerpt)
        assert look(tmp_path / "out.mp4").duration == pytest.approx(2, abs=0.1)


def test_excerpts_are_counted_from_the_first_picture(tmp_path: Path) -> None:
    """AAC in TS and Matroska begins 21 ms before it; no frame is cut in two by that."""
    for suffix in (".ts", ".mkv"):
        path = Film(frames=50, channels="stereo", seconds_of_sound=2).write(tmp_path / f"in{suffix}")
        for excerpt, wanted in (
            (Excerpt(start=0.8, end=1.2), 10),
            (Excerpt(start=0.8), 30),
            (Excerpt(end=0.4), 10),
        ):
            frames = list(open_source(path, excerpt).frames())
            assert len(frames) == wanted, (suffix, excerpt)


def test_a_film_of_one_frame(tmp_path: Path) -> None:
    path = Film(frames=1).write(tmp_path / "one.mp4")
    for excerpt in (Excerpt(), Excerpt(start=0.02), Excerpt(fps=Fraction(5)), Excerpt(start=0.01, end=0.03)):
        assert len(list(open_source(path, excerpt).frames())) == 1
    with pytest.raises(InputError, match="before --start"):
        open_source(path, Excerpt(start=1))


@pytest.mark.parametrize("fps", [Fraction(10), Fraction(30000, 1001), Fraction(25), Fraction(50)])
def test_another_rate_shows_what_is_on_screen(fps: Fraction, tmp_path: Path) -> None:
    path = Film(frames=50, draw=lambda n, w, h: np.full((h, w, 3), 5 * n, np.uint8)).write(
        tmp_path / "in.mp4"
    )
    frames = list(open_source(path, Excerpt(fps=fps)).frames())
    assert [frame.pts for frame in frames] == list(range(round(2 * fps)))
    for frame in frames:
        shown = float(frame.pixels.mean()) / 5
        assert abs(shown / 25 - float(frame.pts / fps)) <= 0.5 / float(fps) + 0.045


def combed(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A bar that moves four pixels from field to field."""
    picture = np.full((height, width, 3), 60, np.uint8)
    for field in range(2):
        left = 8 * number + 4 * field
        picture[field::2, left : left + 12] = 220
    return picture


def test_interlaced_after_a_progressive_start_is_deinterlaced(tmp_path: Path) -> None:
    plain = Film(frames=5, codec="mpeg2video", draw=lambda n, w, h: np.full((h, w, 3), 60, np.uint8))
    fields = Film(
        frames=5, codec="mpeg2video", draw=combed, options={"flags": "+ildct+ilme", "field_order": "tt"}
    )
    data = b"".join(film.write(tmp_path / f"{n}.ts").read_bytes() for n, film in enumerate((plain, fields)))
    (tmp_path / "in.ts").write_bytes(data)
    source = open_source(tmp_path / "in.ts", Excerpt())
    frames = list(source.frames())
    assert len(frames) == 9  # FFmpeg's decoder drops one where the parts meet
    assert any("interlaced in parts" in text for text in source.warnings)

    def combs(picture: NDArray[np.uint8]) -> float:
        rows = picture[4:-4, :, 0].astype(float)
        return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())

    before = combs(combed(2, 64, 48))
    assert all(combs(frame.pixels) < before / 3 for frame in frames[5:8])
