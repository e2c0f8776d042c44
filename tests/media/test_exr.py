"""OpenEXR: light in floats becomes sRGB, and what cannot be shown is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecli.__main__ import _run
from stylecli.errors import InputError
from stylecli.media import read_picture

OpenEXR = pytest.importorskip("OpenEXR")
LIGHT = np.linspace(0, 1, 5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
GREY, HALF = np.ascontiguousarray(LIGHT[..., 0]), np.float32(0.5)


def write(path: Path, **channels: np.ndarray) -> Path:
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(
        str(path)
    )
    return path


def curve(light: np.ndarray) -> np.ndarray:
    """sRGB's, as 16 bits."""
    light = np.clip(np.asarray(light, np.float64), 0, 1)
    return np.rint(65535 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(
    ("channels", "expected", "notice"),
    [
        ({"RGB": LIGHT}, LIGHT, ""),
        ({"RGB": LIGHT.astype(np.float16)}, LIGHT.astype(np.float16), ""),
        ({"RGB": LIGHT * 8 - 1}, LIGHT * 8 - 1, "light up to 7 clipped to 1"),
        (
            {"RGB": np.where(LIGHT > 0.5, np.nan, LIGHT)},
            np.where(LIGHT > 0.5, 0, LIGHT),
            "no numbers taken as black",
        ),
        ({"Y": GREY}, np.repeat(GREY[..., None], 3, 2), ""),
        ({"Y": GREY, "A": np.full_like(GREY, 1)}, np.repeat(GREY[..., None], 3, 2), ""),
        ({"RGBA": np.dstack([LIGHT * HALF, np.full_like(GREY, 0.5)])}, LIGHT, ""),
        ({"RGB": LIGHT, "depth.Z": GREY}, LIGHT, ""),
    ],
    ids=["float", "half", "bright", "nan", "grey", "grey alpha", "alpha", "more channels"],
)
def test_pixels(tmp_path: Path, channels: dict[str, np.ndarray], expected: np.ndarray, notice: str) -> None:
    picture = read_picture(write(tmp_path / "a.exr", **channels))
    assert picture.pixels.dtype == np.uint16
    assert np.abs(picture.pixels.astype(int) - curve(expected)).max() <= 1
    assert notice in " ".join(picture.notices) and bool(notice) == bool(picture.notices)
    if "RGBA" in channels:
        assert picture.alpha is not None and (picture.alpha == 32768).all()


def test_one_is_painted_and_a_folder_of_them_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.exr", RGB=LIGHT)
    assert (
        _run(["image", str(tmp_path / "in"), "-s", "@neon", "-o", f"{tmp_path}/out/", "--strength", "0"]) == 0
    )
    made = np.asarray(Image.open(tmp_path / "out" / "a.exr.neon.png"))
    assert np.abs(made - curve(LIGHT) / 257).max() < 1


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(tmp_path / "a.exr", RGB=LIGHT).read_bytes()
    (tmp_path / "cut.exr").write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "z.exr", **{"depth.Z": GREY, "N.X": GREY})
    for name, words in (("cut", "damaged OpenEXR picture"), ("z", "its channels are N.X, depth.Z")):
        with pytest.raises(InputError, match=words):
            read_picture(tmp_path / f"{name}.exr")
    with pytest.raises(InputError, match="over the limit"):
        read_picture(tmp_path / "a.exr", max_pixels=30)
    monkeypatch.setattr("stylecli.media.exr.reads_exr", lambda: False)
    with pytest.raises(
        InputError, match=r"a.exr: an OpenEXR picture: pip install 'stylecli\[exr\]' lets it be read"
    ):
        read_picture(tmp_path / "a.exr")


def test_jpeg_xl_is_read_where_its_plugin_is(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    Image.fromarray(pixels).save(tmp_path / "a.jxl", lossless=True)
    assert (read_picture(tmp_path / "a.jxl").pixels == pixels).all()
    data = (tmp_path / "a.jxl").read_bytes()
    (tmp_path / "cut.jxl").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut.jxl: "):
        read_picture(tmp_path / "cut.jxl")
