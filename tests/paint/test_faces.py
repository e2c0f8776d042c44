"""Faces are found where they are, and spared there alone; in films steadily."""

from __future__ import annotations

import numpy as np
import pytest
from face_kit import face, needs_detector

from stylecli.media.video.clip import Frame
from stylecli.paint.faces import Box, find_faces, oval, overlap, spared
from stylecli.paint.regions import FULL, Regions
from stylecli.run import face_track
from stylecli.run.face_track import follow_faces


@needs_detector
@pytest.mark.parametrize(
    ("size", "at", "side", "kind"),
    [
        ((240, 160), (120, 80), 80, np.uint8),
        ((96, 64), (48, 30), 34, np.uint8),
        ((600, 300), (420, 140), 90, np.uint16),
        ((160, 240), (70, 90), 60, np.float32),
    ],
)
def test_a_face_is_found_where_it_is(size, at, side, kind):
    white = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[kind]
    pixels = (np.asarray(face(size, at, side)) / 255 * white).astype(kind)
    (box,) = find_faces(pixels)
    expected = Box((at[0] - side / 2) / size[0], (at[1] - side / 2) / size[1], side / size[0], side / size[1])
    assert overlap(box, expected) > 0.5
    assert find_faces(np.ascontiguousarray(pixels[:, : size[0] // 8])) == []
    assert find_faces(pixels[:3, :2]) == []


def test_the_mask_is_strong_within_and_full_beyond():
    boxes = [Box(0.2, 0.3, 0.2, 0.3), Box(0.38, 0.3, 0.2, 0.3, 0.5)]
    mask = spared(boxes, 2000, 1500, 0.4)  # several strips
    assert mask[0].min() == FULL == mask[:, -1].min()
    for box, inside in ((boxes[0], 0.4), (Box(0.5, 0.3, 0, 0.3), 0.7)):  # the second lies beyond the first
        x, y, *_ = oval(box, *mask.shape)
        assert abs(int(mask[round(y), round(x)]) / FULL - inside) < 1e-3
    line = mask[round(oval(boxes[0], *mask.shape)[1]), : round(oval(boxes[0], *mask.shape)[0])]
    assert (np.diff(line.astype(int)) <= 0).all() and len(np.unique(line)) > 50
    assert (spared([], 5, 7, 0.0) == FULL).all()
    assert (spared([Box(-0.2, -0.2, 0.4, 0.4)], 50, 50, 0.0)[0, 0]) < FULL  # partly outside


def test_it_goes_together_with_a_mask():
    class Half:
        def at(self, height: int, width: int, seconds: float = 0.0):
            return np.full((height, width), FULL // 2 + 1, np.uint16)

    class Own:
        def of(self, photo, seconds: float = 0.0):
            return spared([Box(0.25, 0.25, 0.5, 0.5)], *photo.shape[:2], 0.5)

    photo = np.zeros((40, 40, 3), np.uint8)
    both = Regions(whole=Half(), own=Own())
    painted = both.paint([lambda pixels: np.full_like(pixels, 200)], photo)
    assert painted[20, 20, 0] == 50 and painted[0, 0, 0] == 100
    left = both.kept(photo, 0.0)
    assert abs(left[20, 20] - 0.75) < 0.01 and abs(left[0, 0] - 0.5) < 0.01


def frames(count: int, grey: int = 90):
    pixels = np.full((36, 64, 3), grey, np.uint8)
    return [(number / 25, Frame(number, 1, pixels)) for number in range(count)]


def seen(monkeypatch: pytest.MonkeyPatch, *finds: list[Box]) -> None:
    """Let these be what the detector finds, one after the other."""
    left = iter(finds)
    monkeypatch.setattr(face_track, "find_faces", lambda pixels: next(left, []))


def test_a_face_is_steady_and_a_gap_is_bridged(monkeypatch):
    there = [[Box(0.3 + shake, 0.3, 0.2, 0.3)] for shake in (0, 0.02, -0.02, 0.01, -0.01, 0.02, -0.02, 0)]
    seen(monkeypatch, [], *there[:3], [], *there[3:], [])
    track = follow_faces(frames(33), 0.4)
    lefts = [box.left for seconds, _ in frames(33) for box in track.at(seconds)]
    assert len(lefts) == 33  # one in each frame, also in the first and in the last one
    assert max(np.abs(np.diff(lefts))) < 0.01 and abs(np.mean(lefts) - 0.3) < 0.01


def test_a_face_that_moves_is_followed_without_lag(monkeypatch):
    seen(monkeypatch, *([Box(0.1 + 0.02 * n, 0.3, 0.2, 0.3)] for n in range(9)))
    track = follow_faces(frames(25), 0.4)
    for number, (seconds, _) in enumerate(frames(25)):
        assert abs(track.at(seconds)[0].left - (0.1 + 0.02 * number / 3)) < 0.005


def test_a_face_comes_and_goes_softly_and_what_flashes_is_none(monkeypatch):
    box, flash = Box(0.3, 0.3, 0.2, 0.3), Box(0.7, 0.1, 0.1, 0.15)
    nothing = [[]] * 9
    seen(monkeypatch, *nothing, [box], [box, flash], [box], *nothing)
    track = follow_faces(frames(63), 0.4)
    shares = [sum(found.share for found in track.at(seconds)) for seconds, _ in frames(63)]
    assert shares[27] == shares[33] == 1 and shares[0] == shares[-1] == 0
    assert max(np.abs(np.diff(shares))) < 0.2


def test_a_cut_ends_what_was_seen_before_it(monkeypatch):
    box = Box(0.3, 0.3, 0.2, 0.3)
    seen(monkeypatch, [box], [box], [box])
    film = frames(9) + [(seconds + 9 / 25, frame) for seconds, frame in frames(9, grey=200)]
    track = follow_faces(film, 0.4)
    assert [len(track.at(seconds)) for seconds, _ in film] == [1] * 9 + [0] * 9
