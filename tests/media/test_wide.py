"""16 bits in, 16 bits out, with all that the file carried."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import icc_kit
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin

from stylecli.media import Picture, read_picture, write_picture
from stylecli.media.colour import rgb_profile

RAMP = np.linspace(20000, 24000, 600).astype(np.uint16)  # 16 of 256 steps in 600 columns
PIXELS = np.stack(np.broadcast_arrays(RAMP, RAMP[::-1], np.arange(40, dtype=np.uint16)[:, None] * 1600), -1)
PIXELS = np.ascontiguousarray(PIXELS.astype(np.uint16))  # (40, 600, 3)
ALPHA = np.arange(40 * 600, dtype=np.uint16).reshape(40, 600) * np.uint16(2)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_samples_metadata_and_profile_come_back(
    tmp_path: Path, suffix: str, alpha: np.ndarray | None
) -> None:
    exif = Image.Exif()
    exif[271], exif[272] = "Maker", "Model"
    exif.get_ifd(0x8769)[33434] = TiffImagePlugin.IFDRational(1, 125)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    given = Picture(PIXELS, alpha, icc=profile, exif=exif.tobytes(), xmp=b"<x:xmpmeta/>", dpi=(300.0, 300.0))
    target = tmp_path / f"a{suffix}"
    assert write_picture(given, target) == ()

    theirs = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)  # another reader than ours
    assert theirs.dtype == np.uint16
    assert (theirs[..., 2::-1] == PIXELS).all() and (alpha is None or (theirs[..., 3] == alpha).all())

    got = read_picture(target)
    assert got.pixels.dtype == np.uint16 and (got.pixels == PIXELS).all()
    assert (got.alpha is None) if alpha is None else (got.alpha == alpha).all()
    assert got.icc == profile and got.xmp == b"<x:xmpmeta/>" and got.notices == ()
    assert got.dpi == pytest.approx((300, 300), abs=0.1)
    read = Image.Exif()
    read.load(got.exif or b"")
    assert (read[271], read[272], read.get_ifd(0x8769)[33434]) == ("Maker", "Model", pytest.approx(1 / 125))


@pytest.mark.parametrize("most", [65535, 4095, 1000])
def test_ppm_of_any_depth(tmp_path: Path, most: int) -> None:
    values = (PIXELS.astype(np.uint32) * most // 65535).astype(">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6\n# a comment\n600 40\n%d\n" % most + values.tobytes())
    got = read_picture(tmp_path / "a.ppm")
    assert got.pixels.dtype == np.uint16 and got.notices == ()
    assert np.abs(got.pixels - values.astype(float) * 65535 / most).max() <= 1


def test_jpeg_2000_keeps_its_bits(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jp2"), PIXELS[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    got = read_picture(tmp_path / "a.jp2")
    assert (got.pixels == PIXELS).all() and got.notices == ()


def test_the_colour_that_is_transparent_has_sixteen_bits(tmp_path: Path) -> None:
    write_picture(Picture(PIXELS), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    key = struct.pack(">3H", *map(int, PIXELS[3, 5]))
    chunk = struct.pack(">I", 6) + b"tRNS" + key + struct.pack(">I", zlib.crc32(b"tRNS" + key))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    got = read_picture(tmp_path / "a.png")
    assert got.alpha is not None and (got.alpha == 0).sum() == 1 and got.alpha[3, 5] == 0


def test_five_bits_are_not_sixteen(tmp_path: Path) -> None:
    head = bytes([0, 0, 2, *[0] * 9, 4, 0, 4, 0, 16, 0x20])  # TGA with two bytes a pixel
    (tmp_path / "a.tga").write_bytes(head + bytes(range(32)))
    got = read_picture(tmp_path / "a.tga")
    assert got.pixels.dtype == np.uint8 and got.notices == ()


@pytest.mark.parametrize("code", range(1, 9))
def test_orientation(tmp_path: Path, code: int) -> None:
    exif = Image.Exif()
    exif[274] = code
    write_picture(Picture(PIXELS, exif=None), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    (tmp_path / "b.png").write_bytes(data[:33] + chunk + data[33:])  # after the header
    got = read_picture(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert got.pixels.dtype == np.uint16 and got.size == upright.shape[:2]
    assert (got.pixels >> 8 == upright).all()


def test_another_colour_space_there_and_back() -> None:
    profile = rgb_profile(icc_kit.wide_rgb())
    muted = (PIXELS // 2 + 16000).astype(np.uint16)
    there = profile.to_srgb(muted)
    eight = profile.to_srgb((muted // 257).astype(np.uint8))
    assert np.abs(there // 257 - eight.astype(int)).max() <= 3
    assert len(np.unique(there[5, :, 0])) > 300  # a ramp, not the 16 steps of 8 bits
    assert np.abs(profile.from_srgb(there).astype(int) - muted).max() <= 2


def test_a_ramp_has_no_bands_in_eight_bits(tmp_path: Path) -> None:
    tall = np.repeat(PIXELS[:1], 200, axis=0)
    write_picture(Picture(tall), tmp_path / "a.bmp")
    with Image.open(tmp_path / "a.bmp") as image:
        red = np.asarray(image)[..., 0].astype(np.float64)
    smooth = np.convolve(red.mean(0), np.ones(9) / 9, "valid")
    exact = np.convolve(RAMP / 257, np.ones(9) / 9, "valid")
    assert np.abs(smooth - exact).max() < 0.12  # bands would be off by half a step
    assert np.abs(red - RAMP / 257).max() < 1.001


def test_eight_bit_alpha_beside_sixteen_bit_colour(tmp_path: Path) -> None:
    alpha = (ALPHA >> 8).astype(np.uint8)
    write_picture(replace(Picture(PIXELS), alpha=alpha), tmp_path / "a.png")
    got = read_picture(tmp_path / "a.png")
    assert got.alpha is not None and (got.alpha == alpha.astype(np.uint16) * 257).all()
