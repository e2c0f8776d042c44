"""Arrows between rooms go one way: what paints needs neither training nor measurements nor the demo."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import draw, environment

import stylecli

PACKAGE = Path(stylecli.__file__).parent
LOADS = (
    "import sys\nfrom stylecli.__main__ import _run\ncode = _run(sys.argv[1:])\n"
    "sys.stderr.write('\\n' + ' '.join(sys.modules))\nsys.exit(code)\n"
)
PAINTING = {
    *(
        "__main__",
        "cli",
        "console",
        "devices",
        "errors",
        "files",
        "interrupt",
        "kernels",
        "media",
        "memory",
        "models",
        "ops",
    ),
    *("paint", "run", "threads", "tiling", "weights"),
}


def modules(folder: Path, *arguments: str) -> set[str]:
    """What ``stylize ARGUMENTS`` has imported when it ends."""
    command = [sys.executable, "-c", LOADS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["image", "a.png", "-s", "s.png"],
        ["text", "a.png", "--max-size", "32", "a watercolor"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_painting_loads_these_rooms_and_no_others(tmp_path: Path, arguments: list[str]) -> None:
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png", seed=3)
    loaded = modules(tmp_path, *arguments)
    assert {name.split(".")[1] for name in loaded if name.startswith("stylecli.")} <= PAINTING
    assert not loaded & {"stylecli.run.processes", "stylecli.run.worker", "ray", "fsspec"}


def test_a_run_with_nothing_to_do_knows_it_without_torch(tmp_path: Path) -> None:
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png", seed=3)
    arguments = ["image", "a.png", "-s", "s.png"]
    painting = modules(tmp_path, *arguments)
    assert "torch" in painting and "tokenizers" not in painting
    assert not modules(tmp_path, *arguments) & {"torch", "tokenizers", "cv2"}


def imports(path: Path) -> set[str]:
    """Rooms that a module imports, at its top or within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stylecli."):
            found.add(node.module.split(".")[1])
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    ("room", "never"),
    [
        (
            "files",
            {"ops", "weights", "models", "paint", "media", "run", "cli", "training", "bench", "console"},
        ),
        ("weights", {"ops", "models", "paint", "media", "run", "cli", "training", "bench"}),
        ("ops", {"paint", "media", "run", "cli", "training", "console"}),
        ("models", {"paint", "media", "run", "cli", "training", "bench", "samples", "console"}),
        ("paint", {"media", "run", "cli", "training", "bench", "console"}),
        ("media", {"models", "run", "cli", "training", "bench", "console", "ops"}),
        ("run", {"cli", "app", "training", "bench", "console"}),
        ("app", {"cli", "training", "bench", "console", "models", "ops"}),
        ("samples", {"paint", "media", "run", "cli", "training", "bench", "models"}),
        ("metrics", {"training", "bench", "run", "cli", "media"}),
        ("training", {"bench", "cli", "run", "console"}),
    ],
)
def test_no_room_looks_up(room: str, never: set[str]) -> None:
    up = {
        f"{path.relative_to(PACKAGE)} -> {name}"
        for path in PACKAGE.rglob("*.py")
        if room_of(path) == room
        for name in imports(path) & never
    }
    assert not up


def test_no_circles() -> None:
    """Of modules and of rooms, imports within functions counted."""
    top = Path(__file__).parents[1]  # the package may be installed elsewhere
    house = runpy.run_path(str(top / "benchmarks" / "house.py"))
    graph = house["arrows"](house["modules"](top))
    assert len(graph) > 250 and "paint.stylizer" in graph["paint.options"]
    assert house["circles"](graph) == house["circles"](house["rooms"](graph)) == []
    assert len(house["circles"](graph | {"paint.stylizer": {"paint.options"}})) == 1
