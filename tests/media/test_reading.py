"""Every pixel layout gives the right numbers; everything unreadable gives one line."""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecli.errors import InputError
from stylecli.media import read_picture
from stylecli.paint.pixels import to_floats

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)
CORNERS = np.array([[RED, GREEN], [BLUE, GREY]], dtype=np.uint8)  # (2, 2, 3)


def corners(scale: int = 8) -> Image.Image:
    """16 × 16 (or larger): red, green / blue, grey."""
    return Image.fromarray(CORNERS.repeat(scale, 0).repeat(scale, 1))


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    assert pixels.dtype in (np.uint8, np.uint16) and pixels.flags.c_contiguous and pixels.ndim == 3
    return np.rint(to_floats(pixels) * 255).astype(int)


def near(pixels: np.ndarray, expected: object, within: int = 1) -> None:
    assert np.abs(as_bytes(pixels) - np.asarray(expected, dtype=int)).max() <= within


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "gif", "ppm", "tga", "jp2", "ico", "sgi"])
def test_rgb_is_exact_in_lossless_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    corners().save(path, **({"lossless": True} if suffix == "webp" else {}))
    picture = read_picture(path)
    near(picture.pixels, np.asarray(corners()), within=0)
    assert picture.size == (16, 16)


def test_jpeg(tmp_path: Path) -> None:
    corners().save(tmp_path / "a.jpg", quality=95, subsampling=0)
    picture = read_picture(tmp_path / "a.jpg")
    near(picture.pixels, np.asarray(corners()), within=3)
    assert (picture.format, picture.alpha, picture.icc, picture.exif) == ("JPEG", None, None, None)


@pytest.mark.parametrize("mode", ["YCbCr", "CMYK", "LAB"])
def test_other_colour_models_in_tiff(tmp_path: Path, mode: str) -> None:
    image = corners().point(lambda value: value // 4 + 90)  # muted: 8-bit Lab is coarse at full saturation
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
        assert converted is not None
        converted.info.pop("icc_profile")
    else:
        converted = image.convert(mode)
    converted.save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    near(picture.pixels, np.asarray(image), within=3)
    assert picture.icc is None


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # Pillow writes the Adobe marker and inverts
    ink.save(tmp_path / "a.jpg", quality=95)
    near(read_picture(tmp_path / "a.jpg").pixels, np.full((16, 16, 3), RED), within=3)


def test_one_bit_and_grey(tmp_path: Path) -> None:
    bits = Image.fromarray(np.array([[True, False], [False, True]]))
    bits.save(tmp_path / "bits.png")
    assert as_bytes(read_picture(tmp_path / "bits.png").pixels)[..., 0].tolist() == [[255, 0], [0, 255]]
    Image.new("L", (3, 2), 77).save(tmp_path / "grey.png")
    near(read_picture(tmp_path / "grey.png").pixels, np.full((2, 3, 3), 77), 0)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_grey_of_both_byte_orders(tmp_path: Path, order: str) -> None:
    values = np.linspace(0, 65535, 64 * 4).astype(order).reshape(4, 64)
    Image.fromarray(values).save(tmp_path / "a.tif")
    Image.fromarray(values.astype("<u2")).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        pixels = read_picture(tmp_path / name).pixels
        assert pixels.dtype == np.uint16 and (pixels[..., 1] == values).all()


def test_sixteen_bit_pgm(tmp_path: Path) -> None:
    values = np.array([[0, 200, 30000, 65535]], dtype=">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 1 65535\n" + values.tobytes())
    assert np.allclose(read_picture(tmp_path / "a.pgm").pixels[..., 0], values, atol=6)


def test_dim_sixteen_bit_is_made_visible_and_said(tmp_path: Path) -> None:
    Image.fromarray(np.array([[300, 500], [600, 700]], dtype=np.uint16)).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    assert (picture.pixels.min(), picture.pixels.max()) == (0, 65535)
    assert "300 to 700" in picture.notices[0]


def test_white_is_zero_sixteen_bit(tmp_path: Path) -> None:
    values = np.array([[0, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert read_picture(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [65535, 0]


@pytest.mark.parametrize(("white", "dtype"), [(255, "i4"), (65535, "i4"), (1.0, "f4"), (255.0, "f4")])
def test_thirty_two_bits(tmp_path: Path, white: float, dtype: str) -> None:
    values = (np.array([[0, 0.25, 1]]) * white).round(0 if white > 1 else 2).astype(dtype)
    Image.fromarray(values).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    assert np.allclose(to_floats(picture.pixels)[0, :, 0], [0, 0.25, 1], atol=2 / 255) and not picture.notices


def test_floats_out_of_range_and_nan(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-1.5, np.nan, 2.5]], dtype=np.float32)).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    assert (picture.pixels.min(), picture.pixels.max()) == (0, 65535)
    assert len(picture.notices) == 2


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_is_exact(tmp_path: Path, mode: str, suffix: str) -> None:
    alpha = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = corners().convert(mode)
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / f"a.{suffix}", **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert picture.alpha is not None and (picture.alpha == alpha).all()
    near(picture.pixels, np.asarray(corners().convert(mode[:-1]).convert("RGB")), 1)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\x80", None])
def test_palette_with_and_without_transparency(tmp_path: Path, transparency: int | bytes | None) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    image.putpalette([*RED, *GREEN, *BLUE])
    image.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    picture = read_picture(tmp_path / "a.png")
    near(picture.pixels, [[RED, GREEN, BLUE]], 0)
    expected = {1: [[255, 0, 255]], b"\xff\x00\x80": [[255, 0, 128]], None: None}[transparency]
    assert (None if picture.alpha is None else picture.alpha.tolist()) == expected


def test_transparent_colour_of_grey_and_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.array([[5, 6]], dtype=np.uint8)).save(tmp_path / "l.png", transparency=5)
    corners(1).save(tmp_path / "rgb.png", transparency=GREEN)
    wide = Image.fromarray(np.array([[5000, 60000]], dtype=np.uint16))
    wide.save(tmp_path / "wide.png", transparency=5000)
    for name, alpha in {"l": [[0, 255]], "rgb": [[255, 0], [255, 255]], "wide": [[0, 255]]}.items():
        picture = read_picture(tmp_path / f"{name}.png")
        assert picture.alpha is not None and picture.alpha.tolist() == alpha


@pytest.mark.parametrize(("suffix", "word"), [("gif", "frames"), ("tif", "pages"), ("webp", "frames")])
def test_first_of_several_frames(tmp_path: Path, suffix: str, word: str) -> None:
    more = [Image.new("RGB", (16, 16), BLUE), Image.new("RGB", (16, 16), GREEN)]
    Image.new("RGB", (16, 16), RED).save(tmp_path / f"a.{suffix}", save_all=True, append_images=more)
    picture = read_picture(tmp_path / f"a.{suffix}")
    near(picture.pixels, np.full((16, 16, 3), RED), 3)
    assert picture.frames == 3 and picture.notices == (f"first of 3 {word} taken",)


def test_stream_that_cannot_seek() -> None:
    data = io.BytesIO()
    corners().save(data, "PNG")
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as sink:
        sink.write(data.getvalue())
    with os.fdopen(reader, "rb") as source:
        near(read_picture(source).pixels, np.asarray(corners()), 0)


BROKEN = {
    "text.jpg": (b"Dear diary,\nno photograph today.\n", "text file"),
    "noise.png": (bytes((i * 73 + 41) % 256 for i in range(999)), "not an image"),
    "empty.png": (b"", "empty file"),
    "drawing.svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "paper.pdf": (b"%PDF-1.7\n\x00", "PDF"),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "HEIC"),
    "clip.mp4": (b"\0\0\0\x18ftypisom\0\0\0\0isom" + bytes(40), "video"),
    "header.png": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "figure.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_image_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, word = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / name)
    line = str(caught.value)
    assert line.startswith(f"{name}: ") and "\n" not in line and word in line


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif", "bmp"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"cut.{suffix}: ") and "\n" not in str(caught.value)


def test_missing_folder_and_device(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^gone\.png: no such file$"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(InputError, match="is a folder"):
        read_picture(tmp_path)
    with pytest.raises(InputError, match=r"^null: is a device"):
        read_picture(Path("/dev/null"))


def test_name_in_errors_is_one_printable_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.png"
    path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(caught.value) == "two lines.png: empty file (0 bytes)"
    with pytest.raises(InputError, match=r"^stdin: "):
        read_picture(io.BytesIO(b"x"), name="stdin")


def test_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png_header(60000, 60000))
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(caught.value) == (
        "x.png: 60000 × 60000 = 3600 megapixels is over the limit of 400; raise --max-pixels to read it"
    )
    with pytest.raises(InputError, match=r"cut short|damaged"):  # past the limit it is tried, and found cut
        path.write_bytes(png_header(4000, 100))
        read_picture(path)


def test_limit_is_exact_and_pillows_own_does_not_interfere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow alone would refuse 256 pixels
    data = io.BytesIO()
    corners().save(data, "PNG")
    (tmp_path / "a.png").write_bytes(data.getvalue())
    assert read_picture(tmp_path / "a.png", max_pixels=256).size == (16, 16)
    with pytest.raises(InputError, match="over the limit"):
        read_picture(tmp_path / "a.png", max_pixels=255)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_threads_share_pillows_switches(tmp_path: Path) -> None:
    corners().save(tmp_path / "a.png")
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    outcomes: list[str] = []

    def work(limit: int) -> None:
        for _ in range(20):
            try:
                read_picture(tmp_path / "a.png", max_pixels=limit)
                outcomes.append("read")
            except InputError:
                outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (100, 300, 200, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("read") == outcomes.count("refused") == 40
    assert before == Image.MAX_IMAGE_PIXELS and list(warnings.filters) == filters
