"""What the INPUT arguments mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stylecli.media import Discovery, find_images, formats


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as people have them; the working directory is its parent."""
    names = [
        "photos/img10.jpg", "photos/img2.JPG", "photos/IMG1.jpg", "photos/notes.txt", "photos/.hidden.jpg",
        "photos/._img2.jpg", "photos/Thumbs.db", "photos/desktop.ini", "photos/scan.pdf", "photos/clip.mpg",
        "photos/.stylize-01234567-01234567-12-0123abcd.part", "photos/été 2024/plage.png",
        "photos/été 2024/[raw] a.tif",
        "photos/.cache/x.png", "photos/__MACOSX/y.png", "photos/deep/er/z.webp", "album[1]/a.png",
        "album1/b.png", "empty/readme.md", "lone.bin",
    ]  # fmt: skip
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(discovery: Discovery) -> list[str]:
    return [found.path.as_posix() for found in discovery.images]


def test_folder_takes_images_only_in_natural_order(tree: Path) -> None:
    found = find_images(["photos"], recursive=False)
    assert names(found) == ["photos/IMG1.jpg", "photos/img2.JPG", "photos/img10.jpg"]
    assert {one.root for one in found.images} == {Path("photos")} and not found.problems


def test_recursive_mirrors_the_tree(tree: Path) -> None:
    found = find_images(["photos"], recursive=True)
    assert [one.relative.as_posix() for one in found.images] == [
        "IMG1.jpg", "img2.JPG", "img10.jpg", "deep/er/z.webp", "été 2024/[raw] a.tif", "été 2024/plage.png",
    ]  # fmt: skip


def test_files_are_taken_whatever_their_name(tree: Path) -> None:
    found = find_images(["lone.bin", "photos/.hidden.jpg", "photos/été 2024/[raw] a.tif"], recursive=False)
    assert names(found) == ["lone.bin", "photos/.hidden.jpg", "photos/été 2024/[raw] a.tif"]
    assert {one.root for one in found.images} == {None}
    assert found.images[2].relative == Path("[raw] a.tif")


@pytest.mark.parametrize(
    ("pattern", "expected", "root"),
    [
        ("photos/*.jpg", ["photos/IMG1.jpg", "photos/img10.jpg"], "photos"),
        ("photos/img?.*", ["photos/img2.JPG"], "photos"),
        ("photos/*/plage.png", ["photos/été 2024/plage.png"], "photos"),
        ("photos/**/*.webp", ["photos/deep/er/z.webp"], "photos"),
        ("album[1]/*.png", ["album[1]/a.png"], "album[1]"),
        ("album?/*", ["album1/b.png"], "."),
        ("photos/img*", ["photos/img2.JPG", "photos/img10.jpg"], "photos"),
        ("*.bin", ["lone.bin"], "."),
    ],
)
def test_patterns(tree: Path, pattern: str, expected: list[str], root: str) -> None:
    found = find_images([pattern], recursive=False)
    assert names(found) == expected and not found.problems
    assert {one.root for one in found.images} == {Path(root)}


def test_pattern_that_matches_folders_takes_their_images(tree: Path) -> None:
    found = find_images([str(tree / "album*")], recursive=False)
    assert [one.relative.as_posix() for one in found.images] == ["album1/b.png", "album[1]/a.png"]


def test_named_twice_is_taken_once(tree: Path) -> None:
    inputs = ["photos/img10.jpg", "photos", "./photos/*.jpg", str(tree / "photos" / "IMG1.jpg")]
    found = find_images(inputs, recursive=False)
    assert names(found) == ["photos/img10.jpg", "photos/IMG1.jpg", "photos/img2.JPG"]
    assert not found.problems  # a pattern whose files are all known already is no mistake


def test_problems_are_collected_one_line_each(tree: Path) -> None:
    (tree / "broken.png").symlink_to(tree / "gone.png")
    inputs = ["nowhere.jpg", "photos/*.xyz", "empty", "broken.png", "photos/deep", "a" * 5000, "nul\0.png"]
    found = find_images(inputs, recursive=False)
    reasons = {problem.path[:12]: problem.reason for problem in found.problems}
    assert not found.images and len(found.problems) == len(inputs)
    assert reasons["nowhere.jpg"] == "no such file or folder"
    assert reasons["photos/*.xyz"] == "no image matches this pattern"
    assert reasons["empty"] == "no images in this folder"
    assert reasons["broken.png"] == "a link to a file that does not exist"
    assert "--recursive" in reasons["photos/deep"]
    assert str(found.problems[0]) == "nowhere.jpg: no such file or folder"
    assert all("\n" not in str(problem) for problem in found.problems)


def test_one_problem_does_not_hide_the_rest(tree: Path) -> None:
    found = find_images(["missing", "lone.bin"], recursive=True)
    assert names(found) == ["lone.bin"] and len(found.problems) == 1


def test_loops_of_links_end(tree: Path) -> None:
    (tree / "photos" / "deep" / "up").symlink_to("..", target_is_directory=True)
    found = find_images(["photos"], recursive=True)
    assert len(found.images) == 6


@contextmanager
def unprivileged() -> Iterator[None]:
    """Nothing is forbidden to root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
@pytest.mark.parametrize("text", ["photos", "photos/**"])
def test_what_cannot_be_looked_at_is_named_and_the_rest_goes_on(tree: Path, text: str) -> None:
    for folder in (tree, *(path for path in tree.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    photos = tree / "photos"
    (photos / "circle.png").symlink_to("circle.png")
    (photos / "aa circle").symlink_to("aa circle")  # of no picture's name: not worth a line
    (photos / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(photos / "pipe.png")
    forbidden = photos / "a forbidden"
    forbidden.mkdir()
    (photos / "into.png").symlink_to("a forbidden/x.png")
    forbidden.chmod(0)
    with unprivileged():
        found = find_images([text, "lone.bin"], recursive=True)
    forbidden.chmod(0o755)
    good = [name for name in names(found) if name not in BROKEN]
    assert len(good) == 7 and good[-1] == "lone.bin" and "photos/pipe.png" not in good
    if text == "photos":  # of a pattern's links, those who open them say what is wrong
        assert good == names(found)
        assert {str(problem) for problem in found.problems} == {
            "photos/circle.png: links that lead in a circle",
            "photos/gone.png: a link to a file that does not exist",
            "photos/a forbidden: folder cannot be listed: permission denied",
            "photos/into.png: permission denied",
        }


BROKEN = ("photos/circle.png", "photos/gone.png", "photos/into.png")


def test_an_empty_name_is_not_this_folder(tree: Path) -> None:
    found = find_images(["", "lone.bin"], recursive=False)
    assert names(found) == ["lone.bin"] and [str(one) for one in found.problems] == [
        '"": an empty name; for this folder write .'
    ]


def test_order_does_not_depend_on_the_file_system(tree: Path) -> None:
    for number in (30, 4, 100, 7):
        (tree / "empty" / f"f{number}.png").write_bytes(b"x")
    assert [Path(name).stem for name in names(find_images(["empty"], recursive=False))] == [
        "f4",
        "f7",
        "f30",
        "f100",
    ]


@pytest.fixture
def without_rawpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        formats.readable_suffixes.cache_clear(), formats.foreign_suffixes.cache_clear()

    with monkeypatch.context() as patched:
        patched.setattr(formats, "develops", lambda: False)
        patched.setattr(formats, "reads_exr", lambda: False)
        forget()
        yield
    forget()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("IMG_2.heic", "IMG_10.HEIC", "IMG_1.heif", "IMG_11.heic"),
         "4 HEIC photos left out (IMG_1.heif, IMG_2.heic, IMG_10.HEIC, …): pip install pillow-heif lets them be read"),
        (("DSC1.NEF", "b.dng"), "2 camera raw files left out (b.dng, DSC1.NEF): pip install 'stylecli[raw]' lets them"),
        (("a.exr",), "an OpenEXR picture left out (a.exr): pip install 'stylecli[exr]' lets them be read"),
        (("b.hdr",), "a Radiance HDR picture left out (b.hdr): export them as TIFF or PNG first"),
        (("a.jxl",), "a JPEG XL picture left out (a.jxl): pip install pillow-jxl-plugin lets them be read"),
    ],
)  # fmt: skip
def test_pictures_that_cannot_be_read_here_are_named(
    tmp_path: Path, names: tuple[str, ...], said: str, without_rawpy: None
) -> None:
    for name in (*names, "good.jpg", "twin.mpo", ".hidden.heic"):
        (tmp_path / name).write_bytes(b"x")
    found = find_images([str(tmp_path)], recursive=False)
    assert [one.path.name for one in found.images] == ["good.jpg", "twin.mpo"] and not found.problems
    assert [str(line).partition(" be read, or develop")[0] for line in found.left_out] == [
        f"{tmp_path}: {said}"
    ]
