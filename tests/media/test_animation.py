"""Animations keep their frames, durations and loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecli.errors import InputError
from stylecli.media import is_animated, read_picture, write_picture

TIMES = [30, 50, 70, 110]


def frame(number: int) -> Image.Image:
    """A square that moves over a transparent ground with opaque corners (libwebp cuts off what is empty around)."""
    image = Image.new("RGBA", (48, 32), (0, 0, 0, 0))
    for corner in ((0, 0), (47, 0), (0, 31), (47, 31)):
        image.putpixel(corner, (20, 30, 40 + number, 255))
    image.paste((200, 40 * number, 60, 255), (8 * number, 4, 8 * number + 12, 28))
    return image


@pytest.fixture(params=["gif", "png", "webp"])
def moving(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"moving.{request.param}"
    extra = (
        {"lossless": True} if request.param == "webp" else {"disposal": 2} if request.param == "gif" else {}
    )
    first, *others = (frame(number) for number in range(4))
    first.save(path, save_all=True, append_images=others, duration=TIMES, loop=3, **extra)
    return path


def test_frames_are_read_whole(moving: Path) -> None:
    got = read_picture(moving, animated=True)
    assert (
        is_animated(moving) and got.frames == 4 and len(got.more) == 3 and got.loop == 3 and got.notices == ()
    )
    assert [got.duration, *(f.duration for f in got.more)] == TIMES
    for number, (pixels, alpha) in enumerate(
        [(got.pixels, got.alpha), *((f.pixels, f.alpha) for f in got.more)]
    ):
        expected = np.asarray(frame(number))
        assert alpha is not None and (alpha == expected[..., 3]).all()
        assert (
            np.abs(pixels[alpha > 0].astype(int) - expected[alpha > 0][:, :3]).max() <= 4
        )  # a GIF's palette


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_frames_are_written(moving: Path, suffix: str) -> None:
    target = moving.with_name(f"again{suffix}")
    assert write_picture(read_picture(moving, animated=True), target) == ()
    again = read_picture(target, animated=True)
    assert [again.duration, *(f.duration for f in again.more)] == TIMES and again.loop == 3
    assert again.alpha is not None and (again.alpha == np.asarray(frame(0))[..., 3]).all()


def test_a_format_of_one_frame_says_so(moving: Path) -> None:
    notices = write_picture(read_picture(moving, animated=True), moving.with_name("still.jpg"))
    assert notices == ("first of 4 frames written: JPEG holds one",)


def test_fractions_of_milliseconds_do_not_drift(moving: Path) -> None:
    picture = read_picture(moving, animated=True)
    slow = replace(picture, duration=33.4, more=tuple(replace(f, duration=33.4) for f in picture.more))
    write_picture(slow, moving.with_name("slow.webp"))
    again = read_picture(moving.with_name("slow.webp"), animated=True)
    assert sum([again.duration, *(f.duration for f in again.more)]) == round(4 * 33.4)


def test_a_file_cut_short_gives_the_frames_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(4)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "b.gif").write_bytes(data[: len(data) * 5 // 8])
    got = read_picture(tmp_path / "b.gif", animated=True)
    assert len(got.more) < 3 and got.size == (64, 64)


def test_all_frames_count_for_the_limit(moving: Path) -> None:
    with pytest.raises(InputError, match=r"4 frames of 48 × 32 are over the limit .* raise --max-pixels"):
        read_picture(moving, animated=True, max_pixels=4 * 48 * 32 - 1)
    read_picture(moving, max_pixels=48 * 32)
