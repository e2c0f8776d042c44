"""Times and keyframed styles, as people write them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from stylecli.errors import UsageError
from stylecli.media import read_picture
from stylecli.media.video.clip import Frame
from stylecli.paint.options import PaintOptions
from stylecli.paint.pixels import to_floats
from stylecli.paint.stylizer import Stylizer
from stylecli.run.style_text import Prompt
from stylecli.run.timeline import FilmPainter, parse_keys, parse_seconds


@pytest.mark.parametrize(
    "text,seconds", [("90", 90), ("1:30", 90), ("0:01:30.5", 90.5), (".5", 0.5), ("1:00:00", 3600)]
)
def test_times(text: str, seconds: float) -> None:
    assert parse_seconds(text, "--start") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1:2:3:4", "nan", "1e3"])
def test_no_times(text: str) -> None:
    with pytest.raises(UsageError, match="--start"):
        parse_seconds(text, "--start")


def test_keys(styles: list[Path]) -> None:
    starry, wave = map(str, styles)
    line = parse_keys([f"1:10:{wave}", f"0:{starry}"])
    assert line.name == "starry-wave"
    assert [seconds for seconds, _ in line.keys] == [0, 70]
    said = parse_keys([f"5:{wave}", "1:30:Claude Monet, water: lilies"])
    assert [spec.parts[0][0] for _, spec in said.keys] == [styles[1], Prompt("Claude Monet, water: lilies")]
    for wrong in ([f"x:{wave}"], ["1:none.jpg"], [wave], [f"1:{wave}", f"1:{starry}"]):
        with pytest.raises(UsageError, match="--style-at"):
            parse_keys(wrong)


def test_styles_are_crossfaded(styles: list[Path]) -> None:
    starry, wave = map(str, styles)
    stylizer = Stylizer.from_pretrained(device="cpu")
    paint = FilmPainter(stylizer, parse_keys([f"1:{starry}", f"3:{wave}"]), read_picture, PaintOptions())
    first, last = paint.style_at(0).vector, paint.style_at(9).vector
    assert (paint.style_at(1).vector == first).all()
    middle = paint.style_at(2.5).vector
    assert np.allclose(middle, 0.25 * first + 0.75 * last, atol=1e-5)

    frame = Frame(0, 1, np.tile(np.linspace(20, 220, 48).astype(np.uint8)[None, :, None], (32, 1, 3)))
    together = paint([frame, frame], [0.0, 9.0])
    assert together.shape == (2, 32, 48, 3)
    assert np.abs(together[0] - together[1]).mean() > 0.01
    assert np.allclose(together[1], paint([frame], [9.0])[0], atol=1e-6)


def test_films_are_painted_by_refined_networks(styles: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """--refine: each style by a network of its own, and between two keys by both."""
    from stylecli.paint import refine

    def adapt(stylizer: Stylizer, iterations: int, seed: int) -> torch.nn.Module:
        """Quickly, and to each style another way."""
        assert stylizer.style is not None and stylizer.style.texture is not None
        decoder = copy.deepcopy(stylizer.network.decoder)
        assert isinstance(decoder, torch.nn.Module)
        shift = 0.2 * float(stylizer.style.vector.abs().mean().clamp(max=1))
        with torch.no_grad():
            for number in decoder.parameters():
                number.mul_(1 + shift)
        return decoder

    monkeypatch.setattr(refine, "_adapt_image", adapt)
    monkeypatch.setattr(refine, "_keep", lambda tensors, file: None)
    stylizer = Stylizer.from_pretrained(device="cpu", dtype="fp32")
    line = parse_keys([f"1:{styles[0]}", f"3:{styles[1]}"])
    plain, paint = (FilmPainter(stylizer, line, read_picture, PaintOptions(refine=count)) for count in (0, 7))
    pixels = np.tile(np.linspace(20, 220, 48).astype(np.uint8)[None, :, None], (32, 1, 3))
    frame = Frame(0, 1, pixels)
    wanted = [
        stylizer.encode_style(read_picture(path).pixels, texture=True).refine(7)(to_floats(pixels))
        for path in styles
    ]
    assert np.abs(wanted[0] - plain([frame], [0.0])[0]).mean() > 0.01
    painted = paint([frame] * 3, [0.0, 2.5, 9.0])
    for found, exact in zip(
        painted, (wanted[0], 0.25 * wanted[0] + 0.75 * wanted[1], wanted[1]), strict=True
    ):
        assert np.allclose(found, exact, atol=1e-4)


def test_a_fade_from_black_is_painted_as_one(styles: list[Path]) -> None:
    stylizer = Stylizer.from_pretrained(device="cpu")
    paint = FilmPainter(stylizer, parse_keys([f"0:{styles[0]}"]), read_picture, PaintOptions(stroke_size=8))
    y, x = np.mgrid[0:48, 0:64] / 64
    scene = 127 + 110 * np.stack([np.sin(9 * x + k + 4 * y * k) for k in range(3)], -1)
    light = np.linspace(0, 1, 11)
    for target in (0, 255):  # from black, and from white
        frames = [
            Frame(0, 1, (level * scene + (1 - level) * target).astype(np.uint8)) for level in (*light, 0)
        ]
        painted = [paint([frame], [0.0])[0] * 255 for frame in frames]
        away = [float(abs(picture.mean() - target)) for picture in painted]
        assert away[0] < 1 and away[-1] < 1  # black is black
        assert np.diff(away[:-1]).min() > -8  # it only fades in ...
        assert np.diff(away[:-1]).max() < 60  # ... and does not burst in
        whole = paint([frames[0], frames[-2]], [0.0, 0.0])
        assert np.allclose(whole[1] * 255, painted[-2], atol=0.1)
    for grey in (60, 128):
        even = Frame(0, 1, np.full((48, 64, 3), grey, np.uint8))
        assert abs(float(paint([even], [0.0])[0].mean()) * 255 - grey) < 1
