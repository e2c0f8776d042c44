"""Bytes become floats and bytes again without a change, in pictures, numbered pictures, previews and sheets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from stylecli.media import read_picture
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.sequence import SequenceSink, SequenceSource
from stylecli.paint.options import PaintOptions
from stylecli.paint.pixels import to_bytes, to_depth, to_floats, to_tensor, to_whole
from stylecli.paint.stylizer import Stylizer
from stylecli.run.preview import draw_preview
from stylecli.run.style_specs import StyleSpec
from stylecli.run.timeline import FilmPainter, Timeline

COLOUR = (200, 60, 10)
STEPS = {np.dtype(np.uint8): 1, np.dtype(np.uint16): 257}


def save(path: Path, deep: bool = False, size: tuple[int, int] = (40, 32)) -> Path:
    """A picture of one colour, but for a ramp in its first row."""
    pixels = np.full((size[1], size[0], 3), COLOUR, np.uint8)
    pixels[0] = np.linspace(0, 255, size[0]).round()[:, None]
    path.parent.mkdir(exist_ok=True)
    if deep:
        cv2.imwrite(str(path), pixels[..., ::-1].astype(np.uint16) * 257)
    else:
        Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer.from_pretrained("stylerwkv-s", device="cpu")


@pytest.fixture
def painter(stylizer: Stylizer, tmp_path: Path) -> FilmPainter:
    """Gives frames back."""
    style = StyleSpec("style", ((save(tmp_path / "style.png"), 1.0),))
    return FilmPainter(stylizer, Timeline.constant(style), read_picture, PaintOptions(strength=0))


@pytest.mark.parametrize("dtype", STEPS)
def test_every_number_comes_back(dtype):
    numbers = np.arange(256 * STEPS[dtype], dtype=dtype)
    grey = np.repeat(numbers[None, :, None], 3, 2)
    assert np.array_equal(to_whole(to_floats(grey), dtype), grey)
    assert np.array_equal(to_whole(to_tensor(grey).movedim(0, -1).numpy(), dtype), grey)
    assert torch.equal(to_tensor(grey[None])[0], to_tensor(grey))
    white = {1: 255, 257: 65535}[STEPS[dtype]]
    assert np.array_equal(to_whole(np.float32([-0.5, 0, 1, 1.5]), dtype), [0, 0, white, white])


def test_depths_keep_black_white_and_all_between():
    eight = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    assert np.array_equal(to_depth(to_depth(eight, np.uint16), np.uint8), eight)
    assert np.array_equal(to_depth(to_depth(eight[..., 0], np.uint16), np.uint8), eight[..., 0])
    with pytest.raises(ValueError, match="no numbers"):
        to_bytes(np.full((1, 1, 3), np.nan, np.float32))


@pytest.mark.parametrize(
    ("first_deep", "second_deep"), [(False, False), (True, True), (False, True), (True, False)]
)
def test_numbered_pictures_arrive_as_they_are_and_leave_so(tmp_path, painter, first_deep, second_deep):
    save(tmp_path / "frames" / "001.png", first_deep)
    save(tmp_path / "frames" / "002.png", second_deep)
    source = SequenceSource(tmp_path / "frames", Excerpt())
    frames = list(source.frames())
    step = 257 if first_deep else 1
    assert source.clip.deep == first_deep
    for frame in frames:
        assert frame.pixels[9, 9].tolist() == [step * c for c in COLOUR]
    sink = SequenceSink(tmp_path / "painted" / "%03d.png")
    sink.begin(0, 0)
    for frame, painted in zip(frames, painter(frames, [0.0, 0.04]), strict=True):
        sink.add(frame, painted)
    for number, frame in enumerate(frames, 1):
        written = cv2.imread(str(tmp_path / "painted" / f"{number:03d}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(written[..., ::-1], frame.pixels)


@pytest.mark.parametrize("deep", [False, True])
def test_a_preview_shows_the_frames_colours(tmp_path, painter, deep):
    for number in range(3):
        save(tmp_path / "frames" / f"{number}.png", deep)
    draw_preview(tmp_path / "frames", Excerpt(), painter, tmp_path / "preview.png")
    colours, counts = np.unique(
        np.asarray(Image.open(tmp_path / "preview.png").convert("RGB")).reshape(-1, 3),
        axis=0,
        return_counts=True,
    )
    shown = {tuple(colour): count for colour, count in zip(colours.tolist(), counts, strict=True)}
    assert shown[COLOUR] >= 6 * 40 * 31  # three frames before and after


def test_a_sheet_shows_the_photographs_colours(tmp_path, stylize):
    photo, styles = save(tmp_path / "photo.png", size=(64, 64)), save(tmp_path / "styles" / "a.png").parent
    done = stylize("sheet", photo, "-s", styles, "--strength", "0", "-o", "sheet.png")
    assert done.returncode == 0, done.stderr
    drawn = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).reshape(-1, 3)
    assert (drawn == COLOUR).all(1).sum() >= 2 * 64 * 63 - 32 * 32  # but where the style lies over it
