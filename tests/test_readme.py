"""README and docs say what the command line offers, and nothing else."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from stylecli import __version__
from stylecli.cli.app import command

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "SECURITY.md", *sorted(TOP.glob("docs/**/*.md"))]
TEXTS = {path.relative_to(TOP).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
OTHERS = {
    "--help",
    "--small",
    "--force-reinstall",
    "--no-deps",
    "--check",
}  # every page, our script, pip, ruff
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
    written = set(re.findall(r"`(STYLIZE_[A-Z_]+)", "".join(TEXTS.values())))
    assert set(re.findall(r"\bSTYLIZE_[A-Z_]+", sources)) == written


def test_the_front_page_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 180


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and MkDocs make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", TEXTS[page]):
        name, _, anchor = target.partition("#")
        path = (TOP / page).parent / name if name else TOP / page
        assert path.exists(), target
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)), (
                target
            )


def test_the_site_has_every_page() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (TOP / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    assert sorted(f"docs/{name}" for name in listed) == [name for name in TEXTS if name.startswith("docs/")]


@pytest.mark.parametrize("page", TEXTS)
def test_every_file_that_is_named_is_there(page: str) -> None:
    """Paths from the top, in code; what holds <a placeholder> is none."""
    for code in re.findall(r"`([^`\n]+)`", TEXTS[page]):
        for word in code.split():
            if re.fullmatch(r"(stylecli|tests|docs|kernels|benchmarks|\.ci)/[\w./*-]+", word):
                assert any(TOP.glob(word.rstrip("/"))), word


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {__version__}\n" in (TOP / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{__version__}]" in (TOP / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_version_of_weights_is_made_up() -> None:
    """Older ones are history, newer ones do not exist."""
    shipped = tomllib.loads((TOP / "weights.toml").read_text(encoding="utf-8"))
    for page, text in TEXTS.items():
        for version, name in re.findall(r"version (\d+) of\s+`([\w-]+)`", text):
            assert name in shipped and int(version) <= float(shipped[name]["version"]), (page, name, version)


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
