"""`stylize demo` and `stylize sheet` with a stylizer that merely tints: files, exit codes, messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from stylecli.cli.demo import demo
from stylecli.cli.sheet import sheet
from stylecli.errors import InputError, UsageError
from stylecli.samples import CONTENTS, STYLES


class TintingStylizer:
    """Gives every photograph the mean colour of the style."""

    device, dtype = "cpu", "fp32"

    settings: ClassVar[dict[str, str]] = {}

    def __init__(self, tint: Any = None) -> None:
        self.tint = tint

    @classmethod
    def from_pretrained(cls, *arguments: object, **options: object) -> TintingStylizer:
        return cls()

    def encode_style(self, style: np.ndarray, **how: object) -> TintingStylizer:
        return TintingStylizer(style.mean(axis=(0, 1)))

    def __call__(self, photo: np.ndarray, **manner: object) -> np.ndarray:
        return (0.5 * photo + 0.5 * self.tint).astype(np.float32)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("stylecli.paint.stylizer.Stylizer", TintingStylizer)
    app = typer.Typer()
    app.command()(demo)
    app.command()(sheet)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(path)
    return path


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    folder = tmp_path / "styles"
    folder.mkdir()
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255)), ("lime", (0, 255, 0))):
        Image.new("RGB", (40, 40), colour).save(folder / f"{name}.png")
    return folder


def test_demo_makes_everything_once(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    result = run("demo", "-o", folder, "--size", 64)
    assert result.exit_code == 0, result.output
    assert {path.stem for path in (folder / "photographs").iterdir()} == set(CONTENTS)
    assert {path.stem for path in (folder / "styles").iterdir()} == set(STYLES)
    results = sorted((folder / "results").iterdir())
    assert len(results) == len(CONTENTS) * len(STYLES)
    assert str(folder / "demo.png") in result.stderr
    with Image.open(folder / "demo.png") as picture:
        assert picture.width > (1 + len(STYLES)) * 256
        assert picture.height > (1 + len(CONTENTS)) * 256

    before = [path.stat().st_mtime_ns for path in results]
    again = run("demo", "-o", folder, "--size", 64)
    assert again.exit_code == 0
    assert "drawn into" not in again.stderr
    assert [path.stat().st_mtime_ns for path in results] == before


def test_demo_takes_a_style_of_your_own(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    (folder / "styles").mkdir(parents=True)
    Image.new("RGB", (64, 64), (9, 99, 9)).save(folder / "styles" / "mine.png")
    assert run("demo", "-o", folder, "--size", 64, "-q").exit_code == 0
    assert (folder / "results" / "lighthouse.mine.png").exists()


def test_demo_where_no_folder_can_be_made(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("demo", "-o", tmp_path / "file" / "in", "--size", 64)
    assert isinstance(result.exception, InputError)
    assert "part of the path is a file" in str(result.exception)


def test_sheet_shows_every_style(run: Any, photo: Path, styles: Path) -> None:
    result = run("sheet", photo, "--styles", styles, "--max-size", 60, "--columns", 2)
    assert result.exit_code == 0, result.output
    target = photo.with_name("photo.sheet.png")
    assert f"3 of 3 styles on {target}" in result.stderr
    with Image.open(target) as picture:
        assert picture.width < 2 * 70  # two columns of 60 pixels


def test_sheet_names_and_skips_what_cannot_be_read(run: Any, photo: Path, styles: Path) -> None:
    (styles / "noise.png").write_bytes(bytes(range(256)))
    result = run("sheet", photo, "--styles", styles, "--max-size", 60)
    assert result.exit_code == 1
    named = [line for line in result.stderr.splitlines() if "noise.png" in line]
    assert len(named) == 1 and named[0].count("noise.png") == 1
    assert "3 of 4 styles" in result.stderr
    assert photo.with_name("photo.sheet.png").exists()


def test_sheet_is_not_overwritten_unasked(run: Any, photo: Path, styles: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    result = run("sheet", photo, "--styles", styles, "-o", target)
    assert result.exit_code == 0 and "exists already" in result.stderr
    assert target.read_bytes() == b"precious"
    assert run("sheet", photo, "--styles", styles, "-o", target, "--overwrite").exit_code == 0
    assert target.read_bytes() != b"precious"


def test_sheet_refuses_before_any_work(run: Any, photo: Path, styles: Path, tmp_path: Path) -> None:
    def refusal(*arguments: object) -> str:
        result = run("sheet", *arguments)
        assert isinstance(result.exception, UsageError)
        return str(result.exception)

    assert "name a picture file" in refusal(photo, "--styles", styles, "-o", tmp_path / "folder")
    assert "the photograph itself" in refusal(photo, "--styles", styles, "-o", photo, "--overwrite")
    assert "no style images" in refusal(photo, "--styles", tmp_path / "none")
    unreadable = run("sheet", tmp_path / "none.jpg", "--styles", styles)
    assert isinstance(unreadable.exception, InputError)


@pytest.mark.parametrize("command", ["sheet", "demo"])
def test_programs_are_told_in_json(run: Any, photo: Path, styles: Path, tmp_path: Path, command: str) -> None:
    rest = (
        [photo, "--style", styles, "--max-size", 60]
        if command == "sheet"
        else ["--size", 64, "-o", tmp_path / "d"]
    )
    result = run(command, *rest, "--json")
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    last = next(event for event in reversed(events) if event["event"] == "sheet")
    assert Path(last["target"]).is_file() and "done" in {event["event"] for event in events}
