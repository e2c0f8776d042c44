"""docs/architecture.md names files and what is in them: all of it is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
WALKS = {walk.split(":")[0]: walk for walk in PAGE.split("\n## ") if walk.startswith("A ")}
FILES = sorted(set(re.findall(r"`((?:stylecli|tests)/[\w/]+\.py)`", TEXT)))
NAMED = sorted(set(re.findall(r"`(stylecli/[\w/]+\.py)` `([\w.]+)`", TEXT)))


def names_in(path: Path) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return found


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_there(file: str) -> None:
    assert (ROOT / file).is_file()


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_name_is_in_its_file(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)


def test_it_names_enough_to_find_the_way() -> None:
    assert len(FILES) > 25 and len(NAMED) > 25


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_has_eight_steps_at_most(walk: str) -> None:
    """None leads back: ``test_rooms.py`` lets no room import one above it."""
    assert 4 <= len(re.findall(r"^\d+\. ", WALKS[walk], re.MULTILINE)) <= 8
