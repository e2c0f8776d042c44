"""The mark by which results are known again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from stylecli.media import Picture, read_picture, write_picture
from stylecli.run.mark import is_marked, mark


@pytest.fixture
def picture() -> Picture:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif[ExifTags.Base.Software] = "Camera 1.0"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return Picture(np.zeros((8, 8, 3), np.float32), exif=exif.tobytes())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_marked_files_are_known_and_keep_their_exif(tmp_path: Path, picture: Picture, suffix: str) -> None:
    plain, marked = tmp_path / f"plain{suffix}", tmp_path / f"marked{suffix}"
    write_picture(picture, plain)
    write_picture(mark(picture), marked)
    assert not is_marked(plain)
    assert is_marked(marked)
    exif = Image.Exif()
    exif.load(read_picture(marked).exif)
    assert exif[ExifTags.Base.Make] == "Camera"
    assert exif[ExifTags.Base.Software] == "Camera 1.0"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == pytest.approx(2.8)
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_damage_is_left_alone(picture: Picture, tmp_path: Path) -> None:
    damaged = Picture(picture.pixels, exif=b"Exif\0\0garbage")
    assert mark(damaged).pixels is damaged.pixels
    (tmp_path / "text.jpg").write_text("no image")
    assert not is_marked(tmp_path / "text.jpg")
    assert not is_marked(tmp_path / "missing.jpg")
