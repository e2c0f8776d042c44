"""Profiles: colours are converted to sRGB for the network and back for the file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import icc_kit
import numpy as np
import pytest
from PIL import Image, ImageCms

from stylecli.errors import OutOfMemoryError
from stylecli.media import Picture, read_picture, repaint, write_picture
from stylecli.media.tiff import TiffPage, write_tiff
from stylecli.media.wide import write_png
from stylecli.paint.pixels import to_floats

COLOURS = np.array([[[200, 40, 40], [60, 160, 90]], [[70, 80, 200], [128, 128, 128]]], dtype=np.uint8)


def image(scale: int = 8) -> Image.Image:
    return Image.fromarray(COLOURS.repeat(scale, 0).repeat(scale, 1))


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    return np.rint(to_floats(pixels) * 255).astype(int)


@cache
def srgb_bytes() -> bytes:  # with the time of its making in it
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


NO_TEXT = icc_kit.wide_rgb()[:17] + b"\xff" + icc_kit.wide_rgb()[18:]  # a colour space that is no word


@pytest.mark.parametrize(
    "profile", [b"garbage" * 50, icc_kit.wide_rgb()[:200], icc_kit.green_ink_cmyk(), NO_TEXT]
)
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


RAMP = np.linspace(0, 65535, 4096).astype(np.uint16)


def encoded(light: np.ndarray) -> np.ndarray:
    """Linear light 0..1 as sRGB numbers 0..65535."""
    low, high = light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return 65535 * np.where(light <= 0.0031308, low, high)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("make", "gamma"), [(icc_kit.linear_rgb, 1.0), (icc_kit.wide_rgb, 2.19921875)], ids=["linear", "adobe"]
)
def test_sixteen_bits_keep_their_shadows(tmp_path: Path, suffix: str, make, gamma: float) -> None:  # type: ignore[no-untyped-def]
    grey = np.repeat(np.broadcast_to(RAMP, (2, 4096))[..., None], 3, axis=2)
    path = tmp_path / f"a.{suffix}"
    write_picture(Picture(np.ascontiguousarray(grey), icc=None), path)
    wide_file(path, make())
    picture = read_picture(path)
    assert picture.pixels.dtype == np.uint16 and picture.icc == make()
    expected = encoded((RAMP / 65535) ** gamma)
    assert np.abs(picture.pixels[0] - expected[:, None]).max() <= 12  # of 65535: a 20th of a level of 8 bits
    write_picture(picture, tmp_path / f"b.{suffix}")
    back = cv2.imread(str(tmp_path / f"b.{suffix}"), cv2.IMREAD_UNCHANGED)
    assert np.abs(back.astype(int) - grey).max() <= 100  # sRGB has fewer steps in the deepest shadows


def wide_file(path: Path, icc: bytes) -> None:
    """Give a 16-bit file another profile, its numbers as they are."""
    values = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    with path.open("wb") as stream:
        if path.suffix == ".tif":
            write_tiff(stream, [TiffPage(values, icc=icc)])
        else:
            write_png(stream, values, None, icc=icc)


def test_sixteen_bit_greys_keep_their_shadows(tmp_path: Path) -> None:
    Image.fromarray(RAMP[None]).save(tmp_path / "a.png", icc_profile=icc_kit.linear_grey())
    pixels = read_picture(tmp_path / "a.png").pixels
    assert np.abs(pixels[0, :, 1] - encoded(RAMP / 65535)).max() <= 3


SATURATED = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 0, 255], [12, 250, 3], [200, 190, 40]]], dtype=np.uint8
)


@pytest.mark.parametrize("make", [icc_kit.display_p3, icc_kit.wide_rgb, icc_kit.linear_rgb])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_no_strength_gives_wide_colours_back(tmp_path: Path, make, suffix: str, bits: int) -> None:  # type: ignore[no-untyped-def]
    if bits == 16 and suffix == "webp":
        pytest.skip("WebP has 8 bits")
    path = tmp_path / f"a.{suffix}"
    if bits == 8:
        Image.fromarray(SATURATED).save(
            path, icc_profile=make(), **({"lossless": True} if suffix == "webp" else {})
        )
    else:
        write_picture(Picture(SATURATED.astype(np.uint16) * np.uint16(257)), path)
        wide_file(path, make())
    given = read_picture(path)
    write_picture(repaint(given, np.array, keep=1.0), tmp_path / f"b.{suffix}", quality=100)
    if bits == 8:
        with Image.open(tmp_path / f"b.{suffix}") as written:
            assert np.array_equal(written, SATURATED) and written.info["icc_profile"] == make()
    else:
        back = cv2.imread(str(tmp_path / f"b.{suffix}"), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert (back == SATURATED.astype(np.uint16) * 257).all()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_and_those_of_every_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(one) for one in (SATURATED, SATURATED[::-1].copy(), SATURATED[:, ::-1].copy())]
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    icc = icc_kit.display_p3()
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, icc_profile=icc, **options)
    given = read_picture(path, animated=True)
    assert len(given.more) == 2
    write_picture(repaint(given, np.array, keep=1.0), tmp_path / f"b.{suffix}")
    with Image.open(tmp_path / f"b.{suffix}") as written:
        for number, frame in enumerate(frames):
            written.seek(number)
            assert np.array_equal(written.convert("RGB"), np.asarray(frame)), number


def test_half_the_strength_keeps_half_of_it(tmp_path: Path) -> None:
    Image.fromarray(SATURATED).save(tmp_path / "a.png", icc_profile=icc_kit.display_p3())
    given = read_picture(tmp_path / "a.png")
    reds = []
    for keep in (0.0, 0.5, 1.0):
        write_picture(repaint(given, np.array, keep), tmp_path / "b.png")
        with Image.open(tmp_path / "b.png") as written:
            reds.append(np.asarray(written)[0, 0].tolist())
    assert reds[0] == pytest.approx([234, 51, 35], abs=2) and reds[2] == [255, 0, 0]
    assert np.allclose(reds[1], np.mean([reds[0], reds[2]], axis=0), atol=1)
    write_picture(repaint(given, np.array, keep=1.0), tmp_path / "b.bmp")  # no place for a profile: sRGB
    with Image.open(tmp_path / "b.bmp") as written:
        assert np.asarray(written)[0, 0].tolist() == [255, 0, 0]


def test_memory_counts_transparency_and_own_colours(tmp_path: Path) -> None:
    large = Image.new("RGBA", (2000, 1000), (200, 40, 40, 9))
    sizes = []
    for profile in (None, icc_kit.wide_rgb()):
        for mode in ("RGB", "RGBA"):
            large.convert(mode).save(tmp_path / "a.png", icc_profile=profile, compress_level=1)
            with pytest.raises(OutOfMemoryError, match="need about") as caught:
                read_picture(tmp_path / "a.png", memory_limit=1)
            sizes.append(int(str(caught.value).split("about ")[1].split(" MB")[0]))
    assert sizes == [27, 40, 36, 50]  # 14 bytes for each pixel, 7 more, 5 more, and both


def test_the_command_gives_the_files_own_numbers_back(tmp_path: Path, stylize, styles) -> None:  # type: ignore[no-untyped-def]
    given = np.repeat(np.repeat(SATURATED, 9, 0), 9, 1)
    Image.fromarray(given).save(tmp_path / "p3.png", icc_profile=icc_kit.display_p3())
    veil = np.dstack([given, np.where(given[..., 0] > 100, 0, 200).astype(np.uint8)])
    Image.fromarray(veil).save(tmp_path / "veil.png")
    write_picture(Picture(given.astype(np.uint16) * np.uint16(257)), tmp_path / "deep.tif")
    wide_file(tmp_path / "deep.tif", icc_kit.linear_rgb())
    names = ("p3.png", "veil.png", "deep.tif")
    done = stylize("image", *names, "--style", "wave.png", "--strength", "0", "-o", "out/", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(Image.open(tmp_path / "out" / "p3.wave.png"), given)
    assert np.array_equal(Image.open(tmp_path / "out" / "veil.wave.png"), veil)
    deep = cv2.imread(str(tmp_path / "out" / "deep.wave.tif"), cv2.IMREAD_UNCHANGED)
    assert np.abs(deep[..., ::-1].astype(int) - given.astype(int) * 257).max() <= 2
