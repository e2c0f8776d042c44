"""The provenance by which results are known again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import draw
from PIL import ExifTags, Image

from stylecli.media import Picture, read_picture, writable_suffixes, write_picture
from stylecli.run import listing
from stylecli.run.events import Event
from stylecli.run.images import ImageJob
from stylecli.run.provenance import has_provenance, remember, settings_of, with_provenance
from stylecli.run.style_specs import collect_styles


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
    write_picture(with_provenance(picture), marked)
    assert not has_provenance(plain)
    assert has_provenance(marked)
    exif = Image.Exif()
    exif.load(read_picture(marked).exif)
    assert exif[ExifTags.Base.Make] == "Camera"
    assert exif[ExifTags.Base.Software] == "Camera 1.0"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == pytest.approx(2.8)
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_damage_is_left_alone(picture: Picture, tmp_path: Path) -> None:
    damaged = Picture(picture.pixels, exif=b"Exif\0\0garbage")
    assert with_provenance(damaged).pixels is damaged.pixels
    (tmp_path / "text.jpg").write_text("no image")
    assert not has_provenance(tmp_path / "text.jpg")
    assert not has_provenance(tmp_path / "missing.jpg")


@pytest.mark.parametrize("suffix", writable_suffixes())
def test_a_second_style_does_not_paint_the_first_ones_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """In every format, also those that have no room for it; and sheets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stylecli.run.images.resolve_painters", lambda *_: {"one": lambda pixels: pixels})
    Path("photos").mkdir()
    pixels = np.full((9, 9, 3), 99, np.uint8)
    write_picture(Picture(pixels), Path("photos/a.png"))
    write_picture(with_provenance(Picture(pixels)), Path("photos/a.sheet.png"))
    for name in ("one.png", "two.png"):
        draw(Path(name), 16, 16)

    def job(style: str) -> ImageJob:
        return ImageJob(["photos"], collect_styles([Path(style)], []), format=suffix)

    failed: list[Event] = []
    first = job("one.png")
    first.run(first.plan(failed.append), lambda: SimpleNamespace(settings={}), lambda _: None)  # type: ignore[arg-type,return-value]
    result = Path(f"photos/a.one{suffix}")
    assert result.exists() and not failed and has_provenance(result)
    second = job("two.png").plan(failed.append)
    assert [task.source.name for task in second.todo] == ["a.png"] and set(second.own) == {
        result,
        Path("photos/a.sheet.png"),
    }
    assert [task.target.name for task in job("one.png").plan(lambda _: None).finished] == [result.name]

    # What somebody has put there since is a picture like any other.
    draw(result, 20, 20)
    assert not has_provenance(result)
    assert result in {task.source for task in job("two.png").plan(failed.append).todo}


@pytest.mark.parametrize(
    "text",
    [b"", b"\0\xff\n", b"[" * 100_000, b'{"name": "a.one.bmp"}', b'{"name": "a.one.bmp", "size": "x"}'],
)
def test_a_damaged_list_of_results(tmp_path: Path, text: bytes) -> None:
    result = tmp_path / "a.one.bmp"
    write_picture(Picture(np.zeros((4, 4, 3), np.uint8)), result)
    (tmp_path / listing.NAME).write_bytes(text)
    assert not has_provenance(result)
    (tmp_path / listing.NAME).write_bytes(text + b"\n")
    remember(result)
    assert has_provenance(result)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_the_same_bytes_made_with_other_settings(tmp_path: Path, suffix: str) -> None:
    result, picture = tmp_path / f"a.one{suffix}", Picture(np.zeros((4, 4, 3), np.uint8))
    for strength in (0.5, 0.7):
        write_picture(with_provenance(picture, {"strength": strength, "sizes": (1, 2)}), result)
        remember(result, {"strength": strength, "sizes": (1, 2)})
        assert settings_of(result) == {"strength": strength, "sizes": [1, 2]}
    assert (tmp_path / listing.NAME).exists() == (suffix == ".bmp")


def test_a_long_list_is_not_taken_apart_for_each_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [tmp_path / f"{number}.one.bmp" for number in (1, 11, 111, 1)]
    for count, result in enumerate(results):
        write_picture(Picture(np.full((4, 4, 3), count, np.uint8)), result)
        remember(result, {"seed": count})
    taken, loads = [], json.loads

    def counted(text: bytes) -> object:
        taken.append(text)
        return loads(text)

    monkeypatch.setattr(json, "loads", counted)
    assert [settings_of(result) for result in results] == [{"seed": n} for n in (3, 1, 2, 3)]
    assert len(taken) <= 2 * len(results)  # a line, and the settings in it
