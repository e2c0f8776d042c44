"""What files say of their colours without a profile."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import icc_kit
import numpy as np
import pytest
import tiff_kit
from PIL import Image

from stylecli.media import read_picture, repaint, write_picture
from stylecli.media.exif import ExifBlock
from stylecli.media.ifd import IfdReader, directory_bytes, numbers_field, text_field

RED = np.array([[[255, 0, 0], [128, 128, 128], [0, 255, 0]]], dtype=np.uint8)  # (1, 3, 3)
P3_CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_CHRM = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(path: Path, pixels: np.ndarray, *chunks: bytes) -> None:
    data = BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    path.write_bytes(data.getvalue()[:33] + b"".join(chunks) + data.getvalue()[33:])


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


PROFILE = chunk(b"iCCP", b"p\0\0" + zlib.compress(icc_kit.wide_rgb()))
WIDE, PLAIN, LIGHT = "wide", "plain", "light"
CHUNKS = {
    "nothing": ([], PLAIN),
    "sRGB": ([chunk(b"sRGB", b"\0")], PLAIN),
    "cICP Display P3": ([chunk(b"cICP", bytes([12, 13, 0, 1]))], WIDE),
    "cICP BT.2020": ([chunk(b"cICP", bytes([9, 14, 0, 1]))], WIDE),
    "cICP sRGB": ([chunk(b"cICP", bytes([1, 13, 0, 1]))], PLAIN),
    "cICP sRGB beats a profile": ([chunk(b"cICP", bytes([1, 13, 0, 1])), PROFILE], PLAIN),
    "cICP linear": ([chunk(b"cICP", bytes([1, 8, 0, 1]))], LIGHT),
    "cHRM of P3": ([gamma(45455), chunk(b"cHRM", P3_CHRM)], WIDE),
    "cHRM of sRGB": ([gamma(45455), chunk(b"cHRM", SRGB_CHRM)], PLAIN),
    "gAMA as usual": ([gamma(45455)], PLAIN),
    "gAMA 1": ([gamma(100000)], LIGHT),
    "sRGB beats gAMA": ([chunk(b"sRGB", b"\0"), gamma(100000)], PLAIN),
    "nonsense": ([gamma(0), chunk(b"cHRM", bytes(32))], PLAIN),
    "cut short": ([chunk(b"cICP", b"\1")], PLAIN),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_png(tmp_path: Path, name: str) -> None:
    chunks, kind = CHUNKS[name]
    png(tmp_path / "a.png", RED, *chunks)
    given = read_picture(tmp_path / "a.png")
    assert given.notices == ()
    if kind == PLAIN:
        assert (given.pixels == RED).all() and given.icc is None
    elif kind == WIDE:
        soft = RED // 4 + 96
        png(tmp_path / "b.png", soft, *chunks)
        assert (
            read_picture(tmp_path / "b.png").pixels[0, 0, 0] > soft[0, 0, 0] + 3
        )  # a stronger red than sRGB's
        assert given.icc is not None
    else:
        assert abs(int(given.pixels[0, 1, 0]) - 188) <= 1
    write_picture(repaint(given, np.array, keep=1.0), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as written:
        assert (np.asarray(written) == RED).all() and ("icc_profile" in written.info) == (kind != PLAIN)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_with_gamma(tmp_path: Path, bits: int) -> None:
    half = np.full((4, 4), 128 if bits == 8 else 32896, np.uint8 if bits == 8 else np.uint16)
    png(tmp_path / "a.png", half, gamma(100000))
    pixels = read_picture(tmp_path / "a.png").pixels
    assert np.abs(pixels / np.iinfo(pixels.dtype).max * 255 - 188).max() <= 1


def avif(path: Path, pixels: np.ndarray, primaries: int, transfer: int) -> None:
    Image.fromarray(pixels).save(path, quality=100, subsampling="4:4:4")
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + struct.pack(">2H", primaries, transfer) + data[at + 4 :])


@pytest.mark.parametrize(
    ("codes", "kind"),
    [((1, 13), PLAIN), ((12, 13), WIDE), ((9, 1), WIDE), ((2, 2), PLAIN), ((1, 8), LIGHT)],
)
def test_avif(tmp_path: Path, codes: tuple[int, int], kind: str) -> None:
    soft = np.repeat(np.repeat(RED // 4 + 96, 16, 0), 16, 1)
    avif(tmp_path / "a.avif", soft, *codes)
    given = read_picture(tmp_path / "a.avif")
    change = given.pixels[8, 8].astype(int) - soft[8, 8]
    assert (given.icc is not None) == (kind != PLAIN)
    if kind == PLAIN:
        assert np.abs(change).max() <= 3
    elif kind == WIDE:
        assert change[0] > 4
    else:
        assert abs(int(given.pixels[8, 24, 0]) - 188) <= 2
    write_picture(repaint(given, np.array, keep=1.0), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert np.abs(np.asarray(written).astype(int) - soft).max() <= 3


@pytest.mark.parametrize("depth", [10, 12])
def test_deep_avif_keeps_its_bits(tmp_path: Path, depth: int) -> None:
    ramp = np.linspace(20000, 30000, 512).repeat(16).reshape(512, 16).T  # 39 of 256 steps
    values = np.repeat(np.rint(ramp / 65535 * ((1 << depth) - 1))[..., None], 3, axis=2).astype(np.uint16)
    cv2.imwrite(
        str(tmp_path / "a.avif"), values, [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100]
    )
    pixels = read_picture(tmp_path / "a.avif").pixels
    assert pixels.dtype == np.uint16 and len(np.unique(pixels[..., 1])) > 80
    assert np.abs(pixels[..., 1] - ramp).max() < 200


@pytest.mark.parametrize(("transfer", "name", "white"), [(16, "PQ", 148), (18, "HLG", 191)])
def test_hdr_becomes_sdr_and_that_is_said(tmp_path: Path, transfer: int, name: str, white: int) -> None:
    """203 cd/m² is the white of SDR, and whatever is brighter is bent below it."""
    steps = np.array([[0, white // 2, white, 255]], np.uint8)
    png(
        tmp_path / "a.png", np.repeat(steps[..., None], 3, axis=2), chunk(b"cICP", bytes([9, transfer, 0, 1]))
    )
    given = read_picture(tmp_path / "a.png")
    assert given.notices == (f"HDR ({name}) made SDR",) and given.icc is None
    levels = given.pixels[0, :, 0] / 65535
    assert (np.diff(levels) > 0).all() and levels[0] < 0.01 and 0.75 < levels[2] < 0.99 and levels[3] > 0.9


def test_adobe_rgb_by_exif_alone(tmp_path: Path) -> None:
    block = ExifBlock(
        {271: text_field("Canon")}, {0xA001: numbers_field(3, 0xFFFF)}, {}, {1: text_field("R03")}
    ).tobytes()
    soft = np.repeat(np.repeat(RED // 4 + 96, 16, 0), 16, 1)
    Image.fromarray(soft).save(tmp_path / "a.jpg", exif=block, quality=100, subsampling=0)
    given = read_picture(tmp_path / "a.jpg")
    assert given.icc is not None and given.pixels[8, 8, 0] > soft[0, 0, 0] + 5


def test_jpeg_2000_with_a_profile(tmp_path: Path) -> None:
    soft = np.repeat(np.repeat(RED // 4 + 96, 16, 0), 16, 1)
    Image.fromarray(soft).save(tmp_path / "a.jp2")
    data = (tmp_path / "a.jp2").read_bytes()
    header, at = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    old = int.from_bytes(data[at : at + 4], "big")
    icc = icc_kit.display_p3()
    box = struct.pack(">I", 11 + len(icc)) + b"colr\2\0\0" + icc
    size = int.from_bytes(data[header : header + 4], "big") + len(box) - old
    data = data[:header] + struct.pack(">I", size) + data[header + 4 : at] + box + data[at + old :]
    (tmp_path / "a.jp2").write_bytes(data)
    given = read_picture(tmp_path / "a.jp2")
    assert given.icc == icc and given.pixels[8, 8, 0] > soft[8, 8, 0] + 4


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("primaries", "curve", "kind"),
    [
        ((68, 32, 27, 69, 15, 6), None, WIDE),
        ((64, 33, 30, 60, 15, 6), None, PLAIN),
        ((64, 33, 30, 60, 15, 6), np.linspace(0, 65535, 256), LIGHT),
        ((0, 0, 0, 0, 0, 0), None, PLAIN),
    ],
)
def test_tiff(
    tmp_path: Path, bits: int, primaries: tuple[int, ...], curve: np.ndarray | None, kind: str
) -> None:
    soft = np.repeat(np.repeat(RED // 4 + 96, 4, 0), 4, 1)
    values = soft if bits == 8 else soft.astype(np.uint16) * np.uint16(257)
    tiff_kit.write(tmp_path / "a.tif", values, planar=False)
    with (tmp_path / "a.tif").open("rb") as stream:
        reader = IfdReader(stream)
        directory, _ = reader.read(reader.first)
    directory[318] = numbers_field(5, 3127, 10000, 3290, 10000)
    directory[319] = numbers_field(5, *(n for value in primaries for n in (value, 100)))
    if curve is not None:
        directory[301] = numbers_field(3, *map(round, curve))
    data = (tmp_path / "a.tif").read_bytes()
    start = len(data) + len(data) % 2
    data = data[:4] + start.to_bytes(4, "little") + data[8:] + bytes(len(data) % 2)
    (tmp_path / "a.tif").write_bytes(data + directory_bytes(directory, start))
    given = read_picture(tmp_path / "a.tif")
    levels = given.pixels / np.iinfo(given.pixels.dtype).max * 255
    assert (given.icc is not None) == (kind != PLAIN) and given.notices == ()
    if kind == PLAIN:
        assert (given.pixels == values).all()
    elif kind == WIDE:
        assert levels[0, 0, 0] > soft[0, 0, 0] + 3
    else:
        assert abs(levels[0, 5, 0] - 188) < 1.5
