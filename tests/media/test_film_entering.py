"""Films that are entered somewhere: what is seen from there on is what is seen in a run from the beginning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from film_kit import Film

from stylecli.media.video.clip import Excerpt
from stylecli.media.video.reading import VideoSource

OPEN = "log-level=none:keyint=24:open-gop=1"  # pictures that lean on those before a key frame


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("closed.mp4", Film(frames=200, size=(32, 24), group=24)),
        ("open.mkv", Film(frames=200, size=(32, 24), codec="libx265", options={"x265-params": OPEN})),
        ("old.mpg", Film(frames=200, size=(32, 24), codec="mpeg2video")),
        ("new.webm", Film(frames=200, size=(32, 24), codec="libvpx-vp9", group=24)),
        ("jumping.ts", Film(frames=200, size=(32, 24), group=24)),
        (
            "uneven.mp4",
            Film(frames=200, size=(32, 24), group=24, ticks=[n * n + 500 * n for n in range(200)]),
        ),
    ],
)
def test_a_film_that_is_entered_goes_on_as_from_its_beginning(tmp_path: Path, name: str, film: Film) -> None:
    path = film.write(tmp_path / name)
    source = VideoSource(path, Excerpt())
    whole = list(source.frames())
    assert source.can_be_entered and len(whole) == 200
    for number in (3, 60, 117, 199):
        again = VideoSource(path, Excerpt())
        again.known = (number, whole[number].pts)
        assert (again._entered(whole[number].pts) is None) == (number == 3)  # too near to its beginning
        for skip in {number, min(number + 5, 199)}:
            rest = list(again.frames(skip))
            assert [one.pts for one in rest] == [one.pts for one in whole[skip:]]
            assert [one.duration for one in rest] == [one.duration for one in whole[skip:]]
            assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(rest, whole[skip:], strict=True))
    again.known = (117, whole[117].pts + 1)  # of another film
    assert [one.pts for one in again.frames(117)] == [one.pts for one in whole[117:]]
