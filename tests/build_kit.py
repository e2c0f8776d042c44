"""Awkward compilers and awkward folders, all real: shell scripts and mounted file systems."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def real_compiler() -> str:
    """The system's compiler; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if found is None:
        pytest.skip("no C++ compiler here")
    return found


def script(path: Path, text: str) -> Path:
    """An executable shell script; ``$CXX`` in it is the real compiler."""
    path.write_text(f"#!/bin/sh\nCXX={real_compiler()}\n" + textwrap.dedent(text))
    path.chmod(0o755)
    return path


def hasty(path: Path) -> Path:
    """A compiler that does not optimise: several times quicker itself."""
    return script(path, 'exec "$CXX" "$@" -O0')


def refusing(path: Path, flag: str) -> Path:
    """A compiler that does not know ``flag``."""
    return script(
        path,
        f"""
        for word in "$@"; do
            if [ "$word" = {flag} ]; then echo "error: unrecognized option {flag}" >&2; exit 1; fi
        done
        exec "$CXX" "$@"
        """,
    )


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A small file system of its own at ``path``; skips the test where mounting is not allowed."""
    path.mkdir()
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True
    )
    if tried.returncode:
        pytest.skip(f"mounting is not allowed here: {tried.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@contextmanager
def unusable(kind: str, folder: Path) -> Iterator[Path]:
    """A cache folder that is "read-only", "full", or "missing" and cannot be made."""
    path = folder / "cache"
    if kind == "missing":
        path.write_text("a file stands in the way")
        yield path
    elif kind == "full":
        with mounted(path, "size=64k"):
            with (
                (path / "filler").open("wb", buffering=0) as filler,
                pytest.raises(OSError, match="No space"),
            ):
                while True:
                    filler.write(bytes(4096))
            yield path
    elif os.geteuid() == 0:  # whom permissions do not stop
        with mounted(path, "ro"):
            yield path
    else:
        path.mkdir()
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        yield path
