"""Profiles: colours are converted to sRGB for the network and back for the file."""

from __future__ import annotations

from pathlib import Path

import icc_kit
import numpy as np
import pytest
from PIL import Image, ImageCms

from stylecli.media import read_picture, write_picture
from stylecli.paint.pixels import to_floats

COLOURS = np.array([[[200, 40, 40], [60, 160, 90]], [[70, 80, 200], [128, 128, 128]]], dtype=np.uint8)


def image(scale: int = 8) -> Image.Image:
    return Image.fromarray(COLOURS.repeat(scale, 0).repeat(scale, 1))


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    return np.rint(to_floats(pixels) * 255).astype(int)


def srgb_bytes() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_srgb_profile_changes_nothing_and_is_kept(tmp_path: Path) -> None:
    image().save(tmp_path / "a.png", icc_profile=srgb_bytes())
    picture = read_picture(tmp_path / "a.png")
    assert (to_bytes(picture.pixels) == np.asarray(image())).all()
    assert picture.icc == srgb_bytes() and not picture.notices


def test_wide_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    image().save(tmp_path / "a.png", icc_profile=icc_kit.wide_rgb())
    picture = read_picture(tmp_path / "a.png")
    grey, red = to_bytes(picture.pixels)[-1, -1], to_bytes(picture.pixels)[0, 0]
    assert np.abs(grey - 128).max() <= 2  # gamma 2.2 and sRGB agree in the middle
    assert red[0] > 215 and red[1] < 40  # the same numbers mean a stronger red in Adobe RGB
    assert picture.icc == icc_kit.wide_rgb()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif"])
def test_round_trip_keeps_profile_bytes_and_colours(tmp_path: Path, suffix: str) -> None:
    # colours inside both gamuts, or the first conversion clips them
    soft = Image.fromarray((np.asarray(image()).astype(int) // 2 + 60).astype(np.uint8))
    soft.save(tmp_path / "a.png", icc_profile=icc_kit.wide_rgb())
    target = tmp_path / f"b.{suffix}"
    assert write_picture(read_picture(tmp_path / "a.png"), target, quality=100) == ()
    with Image.open(target) as written:
        assert written.info["icc_profile"] == icc_kit.wide_rgb()
        difference = np.asarray(written.convert("RGB")).astype(int) - np.asarray(soft)
    assert np.abs(difference).max() <= (2 if suffix in ("png", "tif", "webp") else 5)


def test_format_without_profiles_gets_srgb_values(tmp_path: Path) -> None:
    image().save(tmp_path / "a.png", icc_profile=icc_kit.wide_rgb())
    picture = read_picture(tmp_path / "a.png")
    write_picture(picture, tmp_path / "b.bmp")
    with Image.open(tmp_path / "b.bmp") as written:
        assert np.abs(np.asarray(written).astype(int) - to_bytes(picture.pixels)).max() == 0


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_profile(tmp_path: Path, bits: int) -> None:
    half = np.full((4, 4), 127 if bits == 8 else 32767, dtype=np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(half).save(tmp_path / "a.png", icc_profile=icc_kit.linear_grey())
    picture = read_picture(tmp_path / "a.png")
    assert np.abs(to_bytes(picture.pixels) - 188).max() <= 1  # linear 0.5 is 188 in sRGB
    assert picture.icc is None and not picture.notices


def test_grey_picture_with_rgb_profile(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 100).save(tmp_path / "a.jpg", icc_profile=srgb_bytes())
    picture = read_picture(tmp_path / "a.jpg")
    assert np.abs(to_bytes(picture.pixels) - 100).max() <= 1 and not picture.notices


def test_cmyk_profile_decides_the_colours(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for name in ("a.jpg", "a.tif"):
        cyan.save(tmp_path / name, icc_profile=icc_kit.green_ink_cmyk())
        picture = read_picture(tmp_path / name)
        red, green, blue = to_bytes(picture.pixels)[8, 8]
        assert green > red + 60 and green > blue + 60 and not picture.notices
        assert picture.icc is None  # the output is RGB
        write_picture(picture, tmp_path / "out.png")
        with Image.open(tmp_path / "out.png") as written:
            assert written.mode == "RGB" and "icc_profile" not in written.info


@pytest.mark.parametrize("profile", [b"garbage" * 50, icc_kit.wide_rgb()[:200], icc_kit.green_ink_cmyk()])
def test_broken_or_foreign_profile_costs_a_notice_only(tmp_path: Path, profile: bytes) -> None:
    image().save(tmp_path / "a.png", icc_profile=profile)
    picture = read_picture(tmp_path / "a.png")
    assert (to_bytes(picture.pixels) == np.asarray(image())).all()
    assert picture.icc is None and len(picture.notices) == 1
    assert picture.notices[0].startswith("colour profile left out")


def test_profile_that_works_one_way_only(tmp_path: Path) -> None:
    image().save(tmp_path / "a.png", icc_profile=icc_kit.one_way_rgb())
    picture = read_picture(tmp_path / "a.png")
    assert picture.icc is None and "one way" in picture.notices[0]
    assert not (to_bytes(picture.pixels) == np.asarray(image())).all()


def test_alpha_survives_colour_conversion(tmp_path: Path) -> None:
    alpha = np.arange(256, dtype=np.uint8).reshape(16, 16)
    transparent = image().convert("RGBA")
    transparent.putalpha(Image.fromarray(alpha))
    transparent.save(tmp_path / "a.png", icc_profile=icc_kit.wide_rgb())
    write_picture(read_picture(tmp_path / "a.png"), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert (np.asarray(written)[..., 3] == alpha).all()
