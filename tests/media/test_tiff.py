"""TIFF in all its depths and orders, floats with strange values, and files that only look like pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import icc_kit
import numpy as np
import pytest
import tiff_kit
from PIL import Image

from stylecli.errors import InputError
from stylecli.media import read_picture, write_picture
from stylecli.media.ranges import words_from_floats

Y, X = np.mgrid[0:37, 0:53]
WORDS = np.stack([X * 1200 + 7, Y * 1700 + 3, (X * Y * 31) % 65536], -1).astype(np.uint16)  # (37, 53, 3)
ALPHA = (40000 + X * 400).astype(np.uint16)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("planar", [False, True], ids=["chunky", "planar"])
@pytest.mark.parametrize("alpha", [False, True], ids=["rgb", "rgba"])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_every_depth_order_and_compression(
    tmp_path: Path, compression: str, planar: bool, alpha: bool, bits: int
) -> None:
    if bits == 8 and planar and compression != "raw":
        pytest.skip("Pillow's own, and right")
    given = np.dstack([WORDS, ALPHA]) if alpha else WORDS
    values = {
        8: (given >> 8).astype(np.uint8),
        16: given,
        32: (given / np.float32(65535)).astype(np.float32),
    }[bits]
    extra = {"t338": 2} if alpha else {}
    tiff_kit.write(tmp_path / "a.tif", values, planar=planar, compression=compression, **extra)
    picture = read_picture(tmp_path / "a.tif")
    assert picture.notices == ()
    if bits == 8:
        assert (picture.pixels == values[..., :3]).all()
        return
    assert picture.pixels.dtype == np.uint16
    assert np.abs(picture.pixels.astype(int) - WORDS).max() <= (0 if bits == 16 else 1)
    assert (picture.alpha is None) != alpha
    if alpha:
        assert np.abs(picture.alpha.astype(int) - ALPHA).max() <= 1
    write_picture(picture, tmp_path / "b.tif")
    back = cv2.imread(str(tmp_path / "b.tif"), cv2.IMREAD_UNCHANGED)
    assert back.dtype == np.uint16 and (back[..., 2::-1] == picture.pixels).all()


def test_alpha_that_was_multiplied_in(tmp_path: Path) -> None:
    straight = (WORDS // 2).astype(np.float64)
    multiplied = np.rint(straight * (ALPHA[..., None] / 65535)).astype(np.uint16)
    tiff_kit.write(tmp_path / "a.tif", np.dstack([multiplied, ALPHA]), planar=False, t338=1)
    picture = read_picture(tmp_path / "a.tif")
    assert np.abs(picture.pixels - straight).max() <= 2


@pytest.mark.parametrize("code", [3, 6, 8])
def test_deep_pictures_are_turned(tmp_path: Path, code: int) -> None:
    quarters = {3: 2, 6: 1, 8: 3}[code]  # by which the camera was turned
    for planar in (False, True):
        stored = np.ascontiguousarray(np.rot90(WORDS, quarters))
        tiff_kit.write(tmp_path / "a.tif", stored, planar=planar, t274=code)
        assert (read_picture(tmp_path / "a.tif").pixels == WORDS).all()


def test_floats_and_their_profile(tmp_path: Path) -> None:
    light = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 3, axis=2).repeat(4, axis=0)
    cv2.imwrite(str(tmp_path / "a.tif"), light)
    plain = read_picture(tmp_path / "a.tif")
    assert np.abs(plain.pixels / 65535 - light).max() < 1e-4
    from stylecli.media.ifd import IfdReader, bytes_field, directory_bytes

    data = (tmp_path / "a.tif").read_bytes()
    with (tmp_path / "a.tif").open("rb") as stream:
        reader = IfdReader(stream)
        directory, _ = reader.read(reader.first)
    directory[34675] = bytes_field(icc_kit.linear_rgb())
    start = len(data) + len(data) % 2
    data = data[:4] + start.to_bytes(4, "little") + data[8:] + bytes(len(data) % 2)
    (tmp_path / "a.tif").write_bytes(data + directory_bytes(directory, start))
    linear = read_picture(tmp_path / "a.tif")
    assert abs(int(linear.pixels[0, 32, 0]) / 65535 - 0.74) < 0.01  # 0.508 of the light


CALM = np.linspace(0, 1, 2000)
FLOATS = {  # values -> what the first ones become of 65535, words in the notices
    "0 to 1": (CALM, {0: 0, 1000: 32784, 1999: 65535}, ()),
    "one pixel above": (np.append(CALM, 1.0001), {1000: 32784, 2000: 65535}, ("clipped",)),
    "one pixel far above": (np.append(CALM, 1e6), {1000: 32784, 2000: 65535}, ("clipped",)),
    "one pixel below": (np.append(CALM, -0.01), {1000: 32784, 2000: 0}, ("clipped",)),
    "ringing": (CALM * 1.2 - 0.1, {0: 0, 1000: 32788, 1999: 65535}, ("clipped",)),
    "infinite": (np.append(CALM, [np.inf, -np.inf]), {1000: 32784, 2000: 65535, 2001: 0}, ("infinite",)),
    "none": (np.append(CALM, np.nan), {1000: 32784, 2000: 0}, ("no numbers",)),
    "8 bits": (np.arange(256.0), {0: 0, 128: 32896, 255: 65535}, ()),
    "16 bits": (np.arange(0, 65536.0, 16), {0: 0, 100: 1600}, ()),
    "light": (CALM * 40, {0: 0, 1000: 32784, 1999: 65535}, ("stretched",)),
    "light, one pixel brighter": (np.append(CALM * 40, 1e6), {1000: 32784, 2000: 65535}, ("stretched",)),
    "nothing": (np.full(50, np.nan), {0: 0}, ("no numbers",)),
}


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("colours", [False, True], ids=["grey", "rgb"])
def test_floats_of_every_range(tmp_path: Path, name: str, colours: bool) -> None:
    values, expected, words = FLOATS[name]
    row = values.astype(np.float32)[None]
    if colours:
        tiff_kit.write(tmp_path / "a.tif", np.repeat(row[..., None], 3, axis=2), planar=False)
    else:
        Image.fromarray(row).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    for place, value in expected.items():
        assert abs(int(picture.pixels[0, place, 1]) - value) <= 70, place
    assert len(picture.notices) == len(words) and all(
        w in n for w, n in zip(words, picture.notices, strict=True)
    )


def test_a_flat_picture_of_floats() -> None:
    assert (words_from_floats(np.full((3, 4), 7.5, np.float32), []) == 0).all()


@pytest.mark.parametrize(
    ("maker", "dng", "photometric"),
    [("Apple", True, 32803), ("NIKON CORPORATION", False, 32803), ("Google", True, 34892)],
)
@pytest.mark.parametrize("suffix", ["dng", "nef", "tif"])
def test_a_thumbnail_is_not_the_photograph(
    tmp_path: Path, maker: str, dng: bool, photometric: int, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylecli.media.raw.develops", lambda: False)
    tiff_kit.write_raw(tmp_path / f"a.{suffix}", maker, dng=dng, photometric=photometric)
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / f"a.{suffix}")
    assert str(caught.value).startswith(f"a.{suffix}: a raw file of {maker}, ")
    assert "develop it to TIFF or JPEG first" in str(caught.value)


RAW_HEADS = {
    "a.raf": (b"FUJIFILMCCD-RAW 0201", "Fujifilm"),
    "a.orf": (b"IIRO\x08\0\0\0", "Olympus"),
    "a.rw2": (b"IIU\0\x18\0\0\0", "Panasonic or Leica"),
    "a.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon"),
    "a.x3f": (b"FOVb\0\0\2\0", "Sigma"),
    "a.psd": (b"8BPS\0\1\0\0\0\0\0\0\0\3\0\0\0\6\0\0\0\4\0\x10\0\3", "16 bits for each colour"),
    "a.psb": (b"8BPS\0\2\0\0\0\0\0\0\0\3\0\0\0\6\0\0\0\4\0\x08\0\3", "PSB"),
    "a.hdr": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n", "Radiance HDR"),
    "a.jxl": (b"\xff\x0a\xfa\x1f", "JPEG XL"),
    "b.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
}


@pytest.mark.parametrize("name", RAW_HEADS)
def test_files_of_other_kinds_are_named(tmp_path: Path, name: str) -> None:
    head, word = RAW_HEADS[name]
    (tmp_path / name).write_bytes(head + bytes(200))
    with pytest.raises(InputError, match=word):
        read_picture(tmp_path / name)


def test_a_preview_in_front_is_passed_over(tmp_path: Path) -> None:
    small, large = Image.new("RGB", (8, 6)), Image.fromarray((WORDS >> 8).astype(np.uint8))
    small.save(tmp_path / "a.tif", save_all=True, append_images=[large], tiffinfo={254: 1})
    data = (tmp_path / "a.tif").read_bytes()
    last = data.rindex(b"\xfe\x00\x04\x00\x01\x00\x00\x00")
    (tmp_path / "a.tif").write_bytes(data[: last + 8] + b"\0" + data[last + 9 :])
    picture = read_picture(tmp_path / "a.tif", animated=True)
    assert (picture.pixels == WORDS >> 8).all() and picture.pages == ()
