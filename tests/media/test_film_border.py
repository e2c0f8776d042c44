"""A shot from a tripod does not twitch where one group of frames follows another."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from film_kit import look

from stylecli.media.video.clip import Clip, Frame
from stylecli.media.video.colour import Colour
from stylecli.media.video.encoding import GOP_FRAMES, Encoding
from stylecli.media.video.sink import FilmSink


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_nothing_twitches_between_groups(codec: str, tmp_path: Path) -> None:
    """Strokes that stand still under a little noise, as the temporal step leaves them."""
    height, width, count = 96, 128, 3 * GOP_FRAMES
    chance = np.random.default_rng(0)
    scene = cv2.GaussianBlur(chance.random((height, width, 3), np.float32), (0, 0), 1.5)
    scene = (scene - scene.min()) / (scene.max() - scene.min())
    clip = Clip(
        tmp_path / "in.mp4",
        width,
        height,
        Fraction(1, 25),
        Fraction(25),
        count,
        count / 25,
        Colour(1, 1, 1, 1),
    )
    sink = FilmSink(tmp_path / "out.mkv", Encoding(codec).plan(clip), tmp_path / "parts", None)
    sink.begin(0, 0)
    steady = scene
    for number in range(count):
        noisy = scene + chance.normal(0, 0.02, scene.shape).astype(np.float32)
        steady = np.clip(0.9 * steady + 0.1 * noisy, 0, 1)
        frame = Frame(number, 1, np.zeros((1, 1, 3), np.uint8))
        sink.add(frame, steady)
        if (number + 1) % GOP_FRAMES == 0:
            sink.cut()
    sink.finish(1)
    light = np.stack(look(tmp_path / "out.mkv").pictures).astype(np.float32) @ np.float32(
        [0.299, 0.587, 0.114]
    )
    assert len(light) == count
    change = np.abs(np.diff(light, axis=0)).mean((1, 2))
    borders = [GOP_FRAMES * n - 1 for n in (1, 2)]
    assert change[borders].max() < 0.6  # levels; 1.2 to 2 where a key frame stands
    assert np.abs(np.diff(light.mean((1, 2))))[borders].max() < 0.3
