"""``stylize.toml``: what is in it counts where nothing was typed, and what is wrong in it is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import draw

from stylecli.__main__ import _run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png", seed=3), draw(tmp_path / "t.png", seed=5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Targets that a dry run names."""
    capsys.readouterr()
    assert _run(["image", "a.png", "--dry-run", "--json", *arguments]) == 0
    return [json.loads(line)["target"] for line in capsys.readouterr().out.splitlines()]


def test_what_is_typed_counts_before_the_folder_and_that_before_the_user(here: Path, capsys) -> None:
    own = here / "config" / "stylecli" / "stylize.toml"
    own.parent.mkdir(parents=True)
    own.write_text('style = ["s.png", "t.png"]\nformat = "webp"\ncrf = 20\n')
    assert settings(capsys) == ["a.s.webp", "a.t.webp"]
    (here / "stylize.toml").write_text('[image]\nstyle = "t.png"\n[video]\ncodec = "hevc"\n')
    assert settings(capsys) == ["a.t.webp"]
    assert settings(capsys, "-s", "s.png", "--format", "jpg") == ["a.s.jpg"]
    (here / "stylize.toml").write_text("preserve_color = true\nstrength = 0\nstyle = 's.png'\nformat = 'png'")
    assert _run(["image", "a.png"]) == 0
    capsys.readouterr()
    own.unlink(), (here / "stylize.toml").unlink()
    assert _run(["image", "a.png", "-s", "s.png"]) == 1
    assert "strength 0, now 1; preserve-color on, now off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strenght = 1", "stylize.toml: there is no option 'strenght'; did you mean strength?"),
        ('[image]\ncodec = "hevc"', "there is no option 'codec'"),
        ("strength = ", "stylize.toml: cannot be read: "),
        ("strength = 3", "--strength, as stylize.toml has it: more than 1"),
        ('strength = "much"', "--strength, as stylize.toml has it: not a number"),
        ("overwrite = 1", "overwrite: write true or false"),
        ("format = true", "format: write a number, or a text in quotes"),
        ("max-size = [1, 2]", "max-size: write one value"),
        ('output = "x"', "'output' is for the command line alone"),
        ("[demo]\nsize = 64", "there is no [demo], only [image], [text], [video], [sheet]"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(here: Path, capsys, text: str, words: str) -> None:
    (here / "stylize.toml").write_text(text)
    assert _run(["image", "a.png", "-s", "s.png"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and words in said[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["image", "a.png", "--strength", "much"], "--strength much: not a number"),
        (["image", "a.png", "--strength=2"], "--strength 2: more than 1"),
        (["image", "a.png", "--max-size", "3"], "--max-size 3: less than 16"),
        (["video", "a.gif", "--crf", "1.5"], "--crf 1.5: not a whole number"),
    ],
)
def test_the_number_that_was_typed_is_named(capsys, arguments: list[str], words: str) -> None:
    assert _run(arguments) == 2
    assert words in capsys.readouterr().err
