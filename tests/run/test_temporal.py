"""The temporal step on films whose motion is known: less flicker, no ghosts, nothing softened."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stylecli.media.video.clip import Frame
from stylecli.run import motion as motion_module
from stylecli.run import temporal
from stylecli.run.motion import Motion, MotionEstimator
from stylecli.run.temporal import Blender

Picture = NDArray[np.float32]


def texture(seed: int, size: tuple[int, int] = (96, 160)) -> Picture:
    """Soft random shapes, (H, W, 3) in 0..1."""
    noise = np.random.default_rng(seed).random((*size, 3), np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray((soft - soft.min()) / (soft.max() - soft.min()), np.float32)


def panning(frames: int, step: int) -> list[Picture]:
    """A camera that moves ``step`` pixels to the right with every frame."""
    world = texture(1, (96, 160 + frames * step))
    return [np.ascontiguousarray(world[:, n * step : n * step + 160]) for n in range(frames)]


def flickering(frames: Sequence[Picture]) -> list[Picture]:
    """As a painter sees them: recoloured, and every frame with strokes of its own."""
    strokes = [texture(100 + n, frame.shape[:2]) for n, frame in enumerate(frames)]
    return [0.75 * frame[..., ::-1] + 0.25 * stroke for frame, stroke in zip(frames, strokes, strict=True)]


def follow(frames: Sequence[Picture]) -> list[Motion | None]:
    estimator = MotionEstimator()
    return [estimator.next((frame * 255).astype(np.uint8)) for frame in frames]


def steady(
    painted: Sequence[Picture], motions: Sequence[Motion | None], strength: float = 0.975
) -> list[Picture]:
    blender = Blender(strength)
    return [blender.next(frame, motion) for frame, motion in zip(painted, motions, strict=True)]


def flicker(frames: Sequence[Picture], step: int) -> float:
    """Mean difference of what is seen twice, by the true motion."""
    pairs = itertools.pairwise(frames[4:])
    return float(
        np.mean([np.abs(a[8:-8, step + 8 : -8] - b[8:-8, 8 : -step - 8 or -8]).mean() for a, b in pairs])
    )


def crispness(frames: Sequence[Picture]) -> float:
    return float(np.mean([np.abs(np.diff(frame, axis=1)).mean() for frame in frames[4:]]))


def test_flicker_is_less_than_half_and_the_picture_no_softer() -> None:
    for step in (0, 2):
        frames = panning(12, step)
        painted = flickering(frames)
        result = steady(painted, follow(frames))
        assert flicker(result, step) < 0.5 * flicker(painted, step)
        assert 0.9 < crispness(result) / crispness(painted) < 1.1
    assert flicker(steady(painted, follow(frames), 0.3), 2) > flicker(result, 2)


def test_flow_is_the_known_one() -> None:
    motion = follow(panning(3, 2))[-1]
    assert motion is not None and not motion.cut
    inside = motion.flow[16:-16, 16:-16]
    assert np.abs(np.median(inside, (0, 1)) - (2, 0)).max() < 0.1
    assert motion.trust[16:-16, 16:-16].mean() > 0.9


def test_motion_is_the_same_however_many_threads_follow_it() -> None:
    frames = [Frame(n, 1, (frame * 255).astype(np.uint8)) for n, frame in enumerate(panning(16, 3))]
    alone = follow(panning(16, 3))
    for threads in (1, 4):
        followed = list(motion_module.follow(frames, threads))
        assert [frame for frame, _ in followed] == frames
        for one, (_, other) in zip(alone, followed, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert (one.flow == other.flow).all() and (one.trust == other.trust).all()


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_strips_and_threads_give_the_same_pixels_as_the_whole(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = panning(4, 2)
    painted, motions = flickering(frames), follow(frames)
    whole = steady(painted, motions)
    monkeypatch.setattr(temporal, "_STRIP_PIXELS", rows * 160)
    with ThreadPoolExecutor(3) as pool:
        blender = Blender(0.975, each=pool.map)
        for frame, motion, expected in zip(painted, motions, whole, strict=True):
            np.testing.assert_allclose(blender.next(frame, motion), expected, rtol=0, atol=1e-6)


def test_what_was_given_is_not_written_to_again() -> None:
    frames = panning(5, 2)
    given = []
    blender = Blender(0.975)
    for frame, motion in zip(flickering(frames), follow(frames), strict=True):
        result = blender.next(frame, motion)
        given.append((frame, frame.copy(), result, result.copy()))
    for frame, frame_then, result, result_then in given:
        assert (frame == frame_then).all() and (result == result_then).all()


def test_a_cut_begins_anew() -> None:
    frames = [
        *panning(5, 1),
        *(1 - frame for frame in panning(3, 1)),
        *(np.zeros((96, 160, 3), np.float32),) * 2,
    ]
    painted = flickering(frames)
    motions = follow(frames)
    assert [motion is not None and motion.cut for motion in motions].index(True) == 5
    result = steady(painted, motions)
    assert (result[5] == painted[5]).all()
    assert np.abs(result[8] - painted[8]).mean() < 0.01  # black after a bright picture: no afterglow


def test_what_moves_too_fast_leaves_no_ghost() -> None:
    ground = texture(7)
    frames = []
    for number in range(8):
        frame = ground.copy()
        frame[30:60, 4 + 18 * number : 24 + 18 * number] = (1, 0, 0)
        frames.append(frame)
    result = steady(frames, follow(frames))
    for number in range(2, 8):
        ghost = np.abs(result[number] - frames[number])[30:60, 4 : 24 + 18 * (number - 1)]
        assert ghost.mean() < 0.03, number


def test_frames_of_another_size_than_the_flow() -> None:
    frames = [np.repeat(np.repeat(frame, 9, 0), 9, 1)[:, :1000] for frame in panning(3, 1)]
    motions = follow(frames)
    assert motions[1] is not None and max(motions[1].trust.shape) == 640
    result = steady(flickering(frames), motions)
    assert result[2].shape == frames[2].shape and result[2].dtype == np.float32


def test_a_style_that_fades_into_another_is_followed() -> None:
    scene = panning(50, 1)
    warm, cold = np.float32([1, 0.8, 0.5]), np.float32([0.4, 0.6, 1])
    painted = [
        frame * (warm + (cold - warm) * np.float32(n / 49)) for n, frame in enumerate(flickering(scene))
    ]
    result = steady(painted, follow(scene))
    behind = [np.abs(a.mean((0, 1)) - b.mean((0, 1))).max() for a, b in zip(result, painted, strict=True)]
    assert max(behind) < 10 / 255  # levels; a whole fade is 70 of them


def test_a_fade_to_black_leaves_no_afterglow() -> None:
    scene, painting = texture(3), texture(4)
    for frames in (12, 75):
        light = np.linspace(1, 0, frames, dtype=np.float32)
        painted = [painting * level for level in light]
        result = steady(painted, follow([scene * level for level in light]))
        lag = max(np.abs(one - other).mean() for one, other in zip(result, painted, strict=True))
        assert lag < 5 / 255  # levels


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 2), (8, 8), (11, 11), (6, 64), (64, 6), (1, 30), (12, 12)]
)
def test_the_smallest_films(height: int, width: int) -> None:
    estimator = MotionEstimator()
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    assert estimator.next(frames[0]) is None
    motion = estimator.next(frames[1])
    assert (
        motion is not None
        and motion.flow.shape == (height, width, 2)
        and motion.trust.shape == (height, width)
    )


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_what_comes_in_slowly_at_an_edge_is_no_streak(side: str) -> None:
    """Less than a pixel a frame: what lies there was not in the frame before, and its edge must not stand in for it."""
    ways = {"left": (-0.4, 0), "right": (0.4, 0), "top": (0, -0.4), "bottom": (0, 0.4)}
    wide = np.random.default_rng(0).uniform(0, 255, (200, 200, 3)).astype(np.float32)
    wide = cv2.blur(wide, (5, 5))
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    estimator, blender = MotionEstimator(), Blender(0.975)
    for n in range(30):
        x, y = (40 + n * step for step in ways[side])
        moved = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
        frame = cv2.warpAffine(wide, moved, (120, 96), flags=cv2.INTER_LINEAR)
        painted = frame / np.float32(255)
        steady = blender.next(painted, estimator.next(frame.astype(np.uint8)))
    edge = {"left": np.s_[:, :6], "right": np.s_[:, -6:], "top": np.s_[:6], "bottom": np.s_[-6:]}[side]
    axis = 1 if side in ("left", "right") else 0
    varies, wanted = (np.abs(np.diff(image[edge], axis=axis)).mean() for image in (steady, painted))
    assert varies > 0.6 * wanted
