"""Files are exact, and complete or absent."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecli.errors import InputError, UsageError
from stylecli.files import owner
from stylecli.files.atomic import atomic_path, is_temporary, remove_stale_temporaries
from stylecli.media import (
    Picture,
    output_suffix,
    read_picture,
    resize_to_fit,
    write_picture,
)

RAMP = np.arange(32 * 24 * 3, dtype=np.uint32).reshape(24, 32, 3) % 256  # (24, 32, 3)
ALPHA = (np.arange(24 * 32, dtype=np.uint32).reshape(24, 32) % 256).astype(np.uint8)


def picture(**changes: object) -> Picture:
    return replace(Picture(pixels=(RAMP / 255).astype(np.float32)), **changes)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".ppm", ".tga", ".PNG"])
def test_lossless_formats_are_exact(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"a{suffix}"
    assert write_picture(picture(), target) == ()
    with Image.open(target) as written:
        assert (np.asarray(written) == RAMP).all()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".tga"])
@pytest.mark.parametrize("quality", [None, 100])
def test_alpha_is_exact(tmp_path: Path, suffix: str, quality: int | None) -> None:
    write_picture(picture(alpha=ALPHA), tmp_path / f"a{suffix}", quality=quality)
    with Image.open(tmp_path / f"a{suffix}") as written:
        assert (np.asarray(written)[..., 3] == ALPHA).all()
        if suffix != ".webp" or quality == 100:  # colours under alpha 0 too
            assert (np.asarray(written)[..., :3] == RAMP).all()


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_is_laid_on_white(tmp_path: Path, suffix: str) -> None:
    black = picture(pixels=np.zeros((8, 8, 3), np.float32), alpha=np.zeros((8, 8), np.uint8))
    write_picture(black, tmp_path / f"a{suffix}")
    assert read_picture(tmp_path / f"a{suffix}").pixels.min() > 250


def test_jpeg_quality_and_chroma(tmp_path: Path) -> None:
    write_picture(picture(), tmp_path / "a.jpg")
    write_picture(picture(), tmp_path / "b.jpg", quality=40)
    with Image.open(tmp_path / "a.jpg") as written:
        assert written.layer[0][1:3] == written.layer[1][1:3]  # type: ignore[attr-defined]  # 4:4:4
    assert (tmp_path / "a.jpg").stat().st_size > (tmp_path / "b.jpg").stat().st_size


def test_values_are_rounded_and_clipped(tmp_path: Path) -> None:
    values = np.array([[[-0.5, 0.0019, 0.0021], [0.4999, 1.0, 1.7]]], dtype=np.float32)
    write_picture(picture(pixels=values), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert np.asarray(written).tolist() == [[[0, 0, 1], [127, 255, 255]]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(tmp_path: Path, bad: float) -> None:
    pixels = np.zeros((4, 4, 3), np.float32)
    pixels[2, 1, 0] = bad
    with pytest.raises(InputError, match=r"a\.png: not written: .* no numbers"):
        write_picture(picture(pixels=pixels), tmp_path / "a.png")
    assert left_in(tmp_path) == []


def test_stream_and_format(tmp_path: Path) -> None:
    for given, expected in {None: "PNG", "jpg": "JPEG", ".webp": "WEBP", "TIFF": "TIFF"}.items():
        stream = io.BytesIO()
        write_picture(picture(format="PSD"), stream, format=given)
        with Image.open(stream) as written:
            assert written.format == expected
    write_picture(picture(), tmp_path / "odd.name", format="png")
    assert read_picture(tmp_path / "odd.name").format == "PNG"


@pytest.mark.parametrize("name", ["a.psd", "a.ico", "a", "a.xyz"])
def test_what_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot be written; choose one of png, jpg"):
        write_picture(picture(), tmp_path / name)
    assert left_in(tmp_path) == []


def test_too_large_for_the_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"WEBP \(at most 16383 a side\); use --format png"):
        write_picture(picture(pixels=np.zeros((1, 17000, 3), np.float32)), tmp_path / "a.webp")


def test_parents_are_made_and_older_files_replaced(tmp_path: Path) -> None:
    target = tmp_path / "new" / "ünter ordner" / "a.png"
    write_picture(picture(), target)
    write_picture(picture(pixels=np.zeros((2, 2, 3), np.float32)), target)
    assert read_picture(target).size == (2, 2) and left_in(target.parent) == ["a.png"]


def test_places_that_refuse(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file.a\.png: cannot be written: part of the path is a file"):
        write_picture(picture(), tmp_path / "file" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write_picture(picture(), tmp_path / "folder.png")
    with pytest.raises(InputError, match="the name is too long"):
        write_picture(picture(), tmp_path / ("a" * 300 + ".png"))
    assert left_in(tmp_path) == ["file", "folder.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="output: cannot be written: the disk is full"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        write_picture(picture(), full)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(28, "No space left on device"), InputError),
        (ValueError("x"), ValueError),
    ],
)
def test_failure_midway_leaves_the_older_file(
    tmp_path: Path, error: BaseException, expected: type[BaseException]
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"older")
    with pytest.raises(expected), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert is_temporary(temporary) and temporary.parent == target.parent
        raise error
    assert target.read_bytes() == b"older" and left_in(tmp_path) == ["a.bin"]


def test_metadata_an_encoder_refuses_costs_only_itself(tmp_path: Path) -> None:
    # bytes that are no EXIF at all, given by a caller
    notices = write_picture(picture(exif=b"Exif\0\0nonsense"), tmp_path / "a.jpg")
    assert notices == ("damaged EXIF left out",) and read_picture(tmp_path / "a.jpg").size == (24, 32)


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "real" / "a.png")
    write_picture(picture(), tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink() and left_in(tmp_path / "real") == ["a.png"]


def test_stale_temporaries_go_and_live_ones_stay(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    here = f".stylize-{owner.machine()}-{owner.namespace()}"
    stale = tmp_path / f"{here}-{int(dead.stdout)}-0123abcd.part"
    same_number = tmp_path / f"{here}-{os.getpid()}-0123abcd.part"  # of an earlier run in a container
    other_process = tmp_path / f"{here}-{os.getppid()}-0123abcd.part"
    foreign = tmp_path / ".stylize-notes.part"
    for path in (stale, same_number, other_process, foreign):
        path.write_bytes(b"half")
    with atomic_path(tmp_path / "a.png") as live:
        assert remove_stale_temporaries(tmp_path) == 2
        assert live.exists()
    assert left_in(tmp_path) == sorted([other_process.name, foreign.name, "a.png"])
    assert remove_stale_temporaries(tmp_path / "missing") == 0


def test_shapes_that_do_not_fit_are_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        write_picture(picture(alpha=np.zeros((3, 3), np.uint8)), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("given", "requested", "expected"),
    [
        (".jpg", None, ".jpg"), (".JPEG", None, ".jpeg"), ("JPEG", None, ".jpg"), ("MPO", None, ".jpg"),
        (".png", None, ".png"), (".tif", None, ".tif"), (".webp", None, ".webp"), (".bmp", None, ".bmp"),
        (".mpo", None, ".jpg"), (".jfif", None, ".jfif"),
        (".gif", None, ".png"), (".psd", None, ".png"), ("PSD", None, ".png"), ("", None, ".png"),
        (".gif", "jpeg", ".jpg"), (".jpg", "PNG", ".png"), (".jpg", ".webp", ".webp"),
        (".jpg", "tif", ".tif"),
    ],
)  # fmt: skip
def test_output_suffix(given: str, requested: str | None, expected: str) -> None:
    assert output_suffix(given, requested) == expected


def test_output_suffix_refuses_what_is_not_written() -> None:
    with pytest.raises(UsageError, match=r"--format psd: .* choose one of png, jpg"):
        output_suffix(".jpg", "psd")


@pytest.mark.parametrize(("limit", "size"), [(16, (12, 16)), (31, (23, 31)), (1, (1, 1)), (32, (24, 32))])
def test_resize_to_fit(limit: int, size: tuple[int, int]) -> None:
    smaller = resize_to_fit(picture(alpha=ALPHA), limit)
    assert smaller.size == size and smaller.alpha is not None and smaller.alpha.shape == size
    assert smaller.pixels.dtype == np.float32 and 0 <= smaller.pixels.min() <= smaller.pixels.max() <= 1


def test_resize_never_enlarges_and_keeps_flat_colour() -> None:
    flat = picture(pixels=np.full((60, 90, 3), [0.1, 0.5, 0.9], np.float32))
    assert resize_to_fit(flat, 90) is flat
    assert np.allclose(resize_to_fit(flat, 31).pixels, [0.1, 0.5, 0.9], atol=1e-5)
    with pytest.raises(ValueError, match="at least 1"):
        resize_to_fit(flat, 0)


def test_package_import_is_light() -> None:
    code = "import sys, stylecli.media; print(sorted({'PIL', 'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
