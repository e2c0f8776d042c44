"""Cameras' raw files: developed with 16 bits, their own white balance, upright and with their EXIF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiff_kit
from PIL import ExifTags, Image

from stylecli.__main__ import _run
from stylecli.errors import InputError
from stylecli.media import find_images, formats, read_picture

rawpy = pytest.importorskip("rawpy")


def scene() -> np.ndarray:
    """A grey ramp with a red and a blue field, (H, W, 3) uint8."""
    ramp = np.tile(np.linspace(20, 220, 128), (96, 1))
    picture = np.repeat(ramp[..., None], 3, -1)
    picture[20:44, 20:60] = (200, 60, 50)
    picture[56:80, 60:100] = (40, 70, 190)
    return picture.astype(np.uint8)


@pytest.mark.parametrize("orientation", [1, 6])
def test_it_is_developed(tmp_path: Path, orientation: int) -> None:
    tiff_kit.write_dng(tmp_path / "a.dng", scene(), orientation=orientation)
    picture = read_picture(tmp_path / "a.dng")
    pixels = np.rot90(picture.pixels, 1) if orientation == 6 else picture.pixels
    assert picture.pixels.dtype == np.uint16 and pixels.shape == (96, 128, 3)
    grey, red, blue = (
        pixels[5:15, 10:120],
        pixels[28:36, 30:50].mean((0, 1)),
        pixels[64:72, 70:90].mean((0, 1)),
    )
    assert (
        np.abs(grey.astype(float) - grey.mean(-1, keepdims=True)).max() < 0.02 * 65535
    )  # neutral is neutral
    assert (np.diff(grey.mean((0, 2))[4:-4:8]) > 0).all()
    assert red[0] > 2 * red[1] and blue[2] > 1.8 * blue[0]
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[ExifTags.Base.Make] == "Maker" and exif.get(ExifTags.Base.Orientation, 1) == 1
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2025:06:01 10:00:00"


def test_a_folder_of_them_is_painted_to_tiff_or_what_is_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    tiff_kit.write_dng(tmp_path / "in" / "a.dng", scene())
    Image.fromarray(scene()).save(tmp_path / "s.png")
    assert [one.path.name for one in find_images(["in"], recursive=False).images] == ["a.dng"]
    assert _run(["image", "in", "-s", "s.png"]) == 0
    assert _run(["image", "in/a.dng", "-s", "s.png", "-o", "a.jpg"]) == 0
    made = read_picture(tmp_path / "in" / "a.dng.s.tiff")  # no raw file itself
    assert made.pixels.dtype == np.uint16 and b"Maker" in made.exif
    with Image.open("a.jpg") as made:
        assert made.getexif()[ExifTags.Base.Make] == "Maker"


def test_too_large_damaged_or_without_rawpy_it_is_one_line(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.dng"
    tiff_kit.write_dng(path, scene())
    with pytest.raises(InputError, match=r"a\.dng: 128 × 96 = .* raise --max-pixels"):
        read_picture(path, max_pixels=1000)
    monkeypatch.setattr("stylecli.media.raw.develops", lambda: False)
    with pytest.raises(InputError, match=r"a\.dng: a raw file of Maker, pip install 'stylecli\[raw\]'"):
        read_picture(path)
    monkeypatch.undo()
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(500))
    with pytest.raises(InputError, match=r"a\.raf: a raw file of Fujifilm, which cannot be developed \("):
        read_picture(tmp_path / "a.raf")
    assert ".nef" in formats.readable_suffixes()
