"""EXIF, XMP and resolution travel; orientation is applied once; damage costs nothing but itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from stylecli.media import read_picture, write_picture

ORIENTATION, MAKE, EXIF_IFD, GPS_IFD, TAKEN, WIDTH = 274, 271, 34665, 34853, 36867, 40962
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)
UPRIGHT = np.array([[RED, RED, GREEN], [BLUE, BLUE, GREY]], dtype=np.uint8)  # (2, 3, 3): not square

STORED = {  # how a camera held in that way stores UPRIGHT
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, -1),
}


def exif_with(**fields: int) -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE] = "Kodak"
    exif.get_ifd(EXIF_IFD)[TAKEN] = "2024:05:06 07:08:09"
    exif.get_ifd(EXIF_IFD)[WIDTH] = 9999
    exif.get_ifd(GPS_IFD)[1] = "N"
    for tag, value in fields.items():
        exif[int(tag[1:])] = value
    return exif


def stored_in(code: int, scale: int = 16) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(STORED[code](UPRIGHT).repeat(scale, 0).repeat(scale, 1)))


@pytest.mark.parametrize("code", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_orientation_is_applied_and_then_normal(tmp_path: Path, code: int, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
    stored_in(code).save(tmp_path / f"a.{suffix}", exif=exif_with(t274=code), **options)
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert picture.size == (32, 48)
    got = picture.pixels[8::16, 8::16].astype(int)
    assert np.abs(got - UPRIGHT).max() <= 4

    write_picture(picture, tmp_path / f"b.{suffix}")
    with Image.open(tmp_path / f"b.{suffix}") as written:
        assert written.size == (48, 32)
        assert written.getexif().get(ORIENTATION, 1) == 1
        assert written.getexif()[MAKE] == "Kodak"
    again = read_picture(tmp_path / f"b.{suffix}")
    assert np.abs(again.pixels[8::16, 8::16].astype(int) - UPRIGHT).max() <= 8


@pytest.mark.parametrize("code", STORED)
def test_alpha_turns_with_the_pixels(tmp_path: Path, code: int) -> None:
    upright = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)
    image = Image.fromarray(np.ascontiguousarray(STORED[code](UPRIGHT)))
    image.putalpha(Image.fromarray(np.ascontiguousarray(STORED[code](upright[..., None])[..., 0])))
    image.save(tmp_path / "a.png", exif=exif_with(t274=code))
    picture = read_picture(tmp_path / "a.png")
    assert picture.alpha is not None and (picture.alpha == upright).all()


def test_sixteen_bit_grey_turns_too(tmp_path: Path) -> None:
    values = np.array([[1000, 30000, 60000]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif_with(t274=8))
    assert read_picture(tmp_path / "a.png").size == (3, 1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_exif_fields_survive_in_every_group(tmp_path: Path, suffix: str) -> None:
    stored_in(1).save(tmp_path / "a.jpg", exif=exif_with(t274=1))
    assert write_picture(read_picture(tmp_path / "a.jpg"), tmp_path / f"b.{suffix}") == ()
    with Image.open(tmp_path / f"b.{suffix}") as written:
        exif = written.getexif()
        assert exif[MAKE] == "Kodak"
        assert exif.get_ifd(EXIF_IFD)[TAKEN] == "2024:05:06 07:08:09"
        assert exif.get_ifd(EXIF_IFD)[WIDTH] == 48  # the size of this file, not of the first one
        assert exif.get_ifd(GPS_IFD)[1] == "N"


def test_layout_tags_of_a_tiff_do_not_travel(tmp_path: Path) -> None:
    stored_in(1).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={305: "Painter", 315: "Ann"})
    write_picture(read_picture(tmp_path / "a.tif"), tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as written:
        assert set(written.getexif()) == {305, 315}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_xmp_survives_without_its_orientation(tmp_path: Path, suffix: str) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" dc="\xc3\xa9"/></x:xmpmeta>'
    stored_in(6).save(tmp_path / "a.jpg", xmp=packet, quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.size == (32, 48)  # turned by the XMP, as there is no EXIF
    write_picture(picture, tmp_path / f"b.{suffix}")
    again = read_picture(tmp_path / f"b.{suffix}")
    assert again.xmp == packet.replace(b'"6"', b'"1"') and again.size == (32, 48)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_resolution_survives_and_turns(tmp_path: Path, suffix: str) -> None:
    stored_in(6).save(tmp_path / "a.jpg", dpi=(300, 150), exif=exif_with(t274=6))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.dpi == (150, 300)
    write_picture(picture, tmp_path / f"b.{suffix}")
    assert read_picture(tmp_path / f"b.{suffix}").dpi == pytest.approx((150, 300), abs=0.1)


def test_broken_exif_never_costs_the_picture(tmp_path: Path) -> None:
    garbage = [
        b"Exif\0\0",
        b"Exif\0\0XX*\0junk",
        b"Exif\0\0MM\0*\0\0\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12",
    ]
    for number, block in enumerate(garbage):
        stored_in(1).save(tmp_path / f"{number}.jpg", exif=block)
        picture = read_picture(tmp_path / f"{number}.jpg")
        assert picture.size == (32, 48)
        write_picture(picture, tmp_path / f"{number}.png")


def test_one_damaged_field_costs_only_itself(tmp_path: Path) -> None:
    exif = exif_with()
    # XResolution (282) as text: Pillow reads it, and cannot write it
    exif[282] = 72.0
    data = bytearray(exif.tobytes())
    at = data.index(b"\x01\x1a\x00\x05") if b"\x01\x1a\x00\x05" in data else data.index(b"\x1a\x01\x05\x00")
    data[at + 2 : at + 4] = b"\x00\x02" if data[at] == 1 else b"\x02\x00"
    stored_in(1).save(tmp_path / "a.jpg", exif=bytes(data))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.notices == ("damaged EXIF fields left out: XResolution",)
    write_picture(picture, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.getexif()[MAKE] == "Kodak"


def test_thumbnail_is_left_out(tmp_path: Path) -> None:
    exif = exif_with()
    thumbnail = exif.get_ifd(1)  # IFD1
    thumbnail[259], thumbnail[513], thumbnail[514] = 6, 0, 10
    stored_in(1).save(tmp_path / "a.jpg", exif=exif)
    written = read_picture(tmp_path / "a.jpg").exif
    again = Image.Exif()
    assert written is not None
    again.load(written)
    assert again.get_ifd(1) == {}


def test_what_a_jpeg_cannot_hold_is_said(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "<x/>" * 20000)
    exif = exif_with()
    exif.get_ifd(EXIF_IFD)[37500] = bytes(70000)  # a maker's note
    stored_in(1).save(tmp_path / "a.png", pnginfo=text, exif=exif)
    notices = write_picture(read_picture(tmp_path / "a.png"), tmp_path / "b.jpg")
    assert notices == ("XMP left out: too long for JPEG",)
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.getexif()[MAKE] == "Kodak"  # only the maker's note had to go
