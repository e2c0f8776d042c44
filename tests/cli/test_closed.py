"""Streams that are closed, full or gone: a run ends as it would, and nobody sees a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import COMMAND, draw, environment
from PIL import Image

PAINT = ("image", "photo.png", "-s", "style.png")
NOTHING = ("image", "missing.png", "-s", "style.png")


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path) -> None:
    draw(tmp_path / "photo.png", 24, 24)
    draw(tmp_path / "style.png", 24, 24)


def run(folder: Path, redirected: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """As a shell would, with such redirections."""
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", *COMMAND, *arguments]
    return subprocess.run(shell, cwd=folder, env=environment(), capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "redirected", "code", "words"),
    [
        (PAINT, ">&- 2>&- <&-", 0, ""),
        (NOTHING, "2>/dev/full", 1, ""),
        ((*PAINT, "--json"), ">/dev/full", 1, "stdout cannot be written (No space left on device)"),
        (NOTHING, "2>&-", 1, ""),
        (NOTHING, ">&-", 1, "failed missing.png"),
        ((*NOTHING, "--json"), ">&-", 2, "--json: stdout is closed"),
        ((*PAINT, "-o", "-"), ">&-", 2, "-o -: stdout is closed"),
        (("image", "-", *PAINT[2:]), "<&-", 1, "stdin"),
        (("weights", "list"), ">&-", 1, "stdout is closed"),
        (("--version",), ">&-", 1, "stdout is closed"),
        (("image", "photo.png"), "2>&-", 2, ""),
    ],
)
def test_closed_streams(
    tmp_path: Path, arguments: tuple[str, ...], redirected: str, code: int, words: str
) -> None:
    done = run(tmp_path, redirected, *arguments)
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert words in said and "Traceback" not in said and "unexpected" not in said
    if arguments[:2] == PAINT[:2] and code < 2:
        with Image.open(tmp_path / "photo.style.png") as image:
            assert image.size == (24, 24)
