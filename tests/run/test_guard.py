"""What the user had is never replaced by a result, whatever names lead to it: real links, real commands."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import draw

from stylecli.__main__ import _run


@pytest.fixture(autouse=True)
def _things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photograph, styles, a film, numbered pictures, weights; none of them need be read to be protected."""
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "styles/a.png", "styles/b.png", "frames/00001.png", "frames/00002.png"):
        draw(Path(name), 32, 32)
    Path("clip.mp4").write_bytes(b"a film")
    Path("clip.b.partial.mp4").write_bytes(b"the user's own cut")
    Path("own.safetensors").write_bytes(b"weights")
    Path("latest").symlink_to("styles")


def symlink(name: str, to: str) -> None:
    Path(name).symlink_to(to)


def hardlink(name: str, to: str) -> None:
    os.link(to, name)


def chain(name: str, to: str) -> None:
    Path("between.png").symlink_to(Path(to).absolute())
    Path(name).symlink_to(Path("between.png").absolute())


def swapped(name: str, to: str) -> None:
    """The input is the link, the target is the file."""
    shutil.move(to, name)
    Path(to).symlink_to(Path(name).absolute())


LINKS = [symlink, hardlink, chain, swapped]
IMAGE = ["image", "photo.png", "-s", "styles/a.png", "--overwrite"]
FILM = ["video", "clip.mp4", "-s", "styles/a.png", "--overwrite"]
CASES = [  # command, the target's name, what it leads to
    ([*IMAGE, "-o", "out.png"], "out.png", "photo.png"),
    ([*IMAGE, "-o", "out.png"], "out.png", "styles/a.png"),
    ([*IMAGE[:-3], "--blend", "styles/a.png:1,styles/b.png:1", "--overwrite", "-o", "o.png"], "o.png", "styles/b.png"),
    ([*IMAGE, "--weights", "own.safetensors", "-o", "out.png"], "out.png", "own.safetensors"),
    (IMAGE, "photo.a.png", "photo.png"),
    (["image", "photo.png", "styles/b.png", *IMAGE[2:], "-o", "made"], "made/photo.a.png", "styles/b.png"),
    (["text", "photo.png", "ukiyo-e", "--overwrite", "-o", "out.png"], "out.png", "photo.png"),
    (["sheet", "photo.png", "-s", "styles", "--overwrite", "-o", "out.png"], "out.png", "photo.png"),
    (["sheet", "photo.png", "-s", "styles", "--overwrite", "-o", "out.png"], "out.png", "styles/b.png"),
    ([*FILM, "-o", "out.mp4"], "out.mp4", "clip.mp4"),
    (["video", "clip.mp4", "--style-at", "0:styles/a.png", "--overwrite", "-o", "o.mp4"], "o.mp4", "styles/a.png"),
    ([*FILM, "--weights", "own.safetensors", "-o", "out.mp4"], "out.mp4", "own.safetensors"),
    (["video", "frames", *FILM[2:], "-o", "made/%05d.png"], "made/00002.png", "frames/00001.png"),
    (["video", "frames/%05d.png", *FILM[2:], "-o", "made/%d.png"], "made/7.png", "frames/00002.png"),
]  # fmt: skip


def everything() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    before = everything()
    code = _run(command)
    said = capsys.readouterr().err
    assert (code, everything()) == (2, before), said
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.__name__)
@pytest.mark.parametrize(("command", "name", "to"), CASES)
def test_a_target_that_leads_to_it(
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    name: str,
    to: str,
    link: Callable[[str, str], None],
) -> None:
    Path("made").mkdir()
    link(name, os.path.relpath(to, Path(name).parent) if link is symlink else to)
    said = refused(capsys, command)
    assert name in said and "itself: choose another -o" in said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["sheet", "photo.png", "-s", "styles", "-o", "styles/a.png", "--overwrite"], "is a style image itself"),
        (["sheet", "photo.png", "-s", "styles", "-o", "latest/a.png", "--overwrite"], "is a style image itself"),
        (["image", "photo.png", "-s", "styles/a.png", "-o", "latest/a.png", "--overwrite"], "the style image itself"),
        (["video", "frames", "-s", "styles/a.png", "-o", "frames/%05d.png", "--overwrite"], "the input itself"),
        (["video", "clip.b.partial.mp4", "-s", "styles/a.png", "-o", "clip.b.mp4"], "partial.mp4 is the input itself"),
    ],
)  # fmt: skip
def test_a_target_that_is_it(capsys: pytest.CaptureFixture[str], command: list[str], words: str) -> None:
    assert words in refused(capsys, command)


def test_two_results_on_one_file_by_links(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photo.a.png").symlink_to("one.png")
    Path("photo.b.png").symlink_to("one.png")
    said = refused(capsys, ["image", "photo.png", "-s", "styles/a.png", "-s", "styles/b.png", "--overwrite"])
    assert "would both become" in said and "one.png" in said


def test_a_link_to_an_earlier_result_is_no_loss(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written here, so nothing has to be refused."""
    draw(Path("photo.a.png"), 32, 32)
    Path("newest.png").symlink_to("photo.a.png")
    assert _run(["image", "photo.png", "newest.png", "-s", "styles/a.png", "--dry-run"]) == 0
    assert "would write newest.a.png" in capsys.readouterr().err
