"""README and docs say what the command line offers, and nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from stylecli.cli.app import command

TOP = Path(__file__).parents[1]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in [TOP / "README.md", *TOP.glob("docs/*.md")]}
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
OTHERS = {"--help", "--small", "--force-reinstall", "--no-deps"}  # of every page, our script, pip
OTHERS |= {"--array", "--job-name", "--cpus-per-task", "--gpus-per-task", "--mem", "--requeue"}  # Slurm's
OTHERS |= {"--head"}  # of ray start


def commands(below: Any, path: str = "stylize") -> Iterator[tuple[str, Any]]:
    yield path, below
    for name, inner in getattr(below, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


OFFERED = {
    path: [name for one in below.params for name in (*one.opts, *one.secondary_opts) if name[0] == "-"]
    for path, below in commands(command())
}


def typed() -> Iterator[str]:
    """Every call of stylize in a block of shell."""
    for text in TEXTS.values():
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if "stylize" in line:
                    words = shlex.split(line, comments=True)
                    if "stylize" in words:
                        words = words[words.index("stylize") :]
                        yield shlex.join(takewhile(lambda word: word not in ("|", "&&", ">"), words))


@pytest.mark.parametrize("path", OFFERED)
def test_every_option_is_written_down(path: str) -> None:
    written = set(OPTION.findall("".join(TEXTS.values())))
    assert [name for name in OFFERED[path] if name not in written] == []


def test_no_option_is_made_up() -> None:
    offered = {name for names in OFFERED.values() for name in names} | OTHERS
    for name, text in TEXTS.items():
        assert not {option for option in OPTION.findall(text) if option.startswith("--")} - offered, name


def test_every_variable_is_written_down() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (TOP / "stylecli").rglob("*.py"))
    assert set(re.findall(r"\bSTYLIZE_[A-Z_]+", sources)) == set(
        re.findall(r"`(STYLIZE_[A-Z_]+)", TEXTS["README.md"])
    )


@pytest.mark.parametrize("line", sorted(line for line in set(typed()) if line[:10] != "stylize --"))
def test_every_command_is_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed, not run."""
    monkeypatch.chdir(tmp_path)
    _, *words = shlex.split(line)
    for word in words:
        if re.fullmatch(r"[\w./]+/|DIR", word):
            Path(word.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif re.fullmatch(r"\w+\.\w+", word):
            Path(word).touch()
    below = command()
    while hasattr(below, "commands") and words and not words[0].startswith("-"):
        below = below.commands[words.pop(0) if words[0] in below.commands else "recipe"]
    below.make_context("stylize", words)
