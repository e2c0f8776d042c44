"""``stylize doctor``: what a report of a fault should say about the machine, and whether it paints at all."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import typer

from stylecli import __version__
from stylecli.cli import options

_PARTS = (
    "torch",
    "numpy",
    "pillow",
    "opencv-python",
    "av",
    "imageio",
    "safetensors",
    "tokenizers",
    "typer",
    "rich",
)


def doctor(json: options.Json = False) -> None:
    """Look at this machine and paint one small picture: paste what it says into a bug report.

    Exit code 1 where something does not work. No file of yours is looked at, and no connection is opened.
    """
    from stylecli.console import print_json, print_table

    found = [(name, *_tried(check)) for name, check in _checks()]
    if json:
        print_json({name: {"ok": good, "said": said} for name, good, said in found})
    else:
        rows = [(name, "ok" if good else "PROBLEM", said) for name, good, said in found]
        print_table(("what", "", "how it is"), rows)
    raise typer.Exit(0 if all(good for _, good, _ in found) else 1)


def _tried(check: Callable[[], str]) -> tuple[bool, str]:
    """Whether it could be looked at, and what was seen, in one line."""
    try:
        return True, check()
    except Exception as error:  # that is what this is for
        return False, " ".join(f"{type(error).__name__}: {error}".split())


def _checks() -> Iterator[tuple[str, Callable[[], str]]]:
    yield "stylecli", lambda: f"{__version__} in {Path(__file__).resolve().parents[1]}"
    yield "python", lambda: f"{platform.python_version()} ({sys.executable})"
    yield "system", lambda: f"{platform.platform()}, {platform.machine()}"
    yield "libraries", lambda: ", ".join(f"{name} {_version(name)}" for name in _PARTS)
    yield "settings", _settings
    yield "processor", _processor
    yield "memory", _memory
    yield "cache", _cache
    yield "disk", lambda: f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB free in {Path.cwd()}"
    yield "weights", _weights
    yield "kernels", _kernels
    yield "devices", _devices
    yield "one picture", _one_picture


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _settings() -> str:
    """The variables that change what stylize does; no others, for they are nobody's business."""
    names = [name for name in sorted(os.environ) if name.startswith(("STYLIZE_", "OMP_", "CUDA_VISIBLE"))]
    return ", ".join(f"{name}={os.environ[name]}" for name in names) or "none"


def _processor() -> str:
    import torch

    return f"{os.cpu_count()} cores, {torch.get_num_threads()} threads used, {torch.backends.cpu.get_cpu_capability()}"


def _memory() -> str:
    from stylecli.memory import built_in_memory, free_memory

    return f"{free_memory() / 1e9:.1f} of {built_in_memory() / 1e9:.1f} GB free"


def _cache() -> str:
    from stylecli.files.atomic import check_writable
    from stylecli.files.cache import cache_dir

    folder = cache_dir()
    problems = check_writable([folder / "x"])
    if problems:
        raise next(iter(problems.values()))
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return f"{folder}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


def _weights() -> str:
    from stylecli.weights.manifest import load_manifest
    from stylecli.weights.store import State, inspect

    networks = load_manifest().values()
    states = {f"{one.name} {one.version}": inspect(one, one.file()) for one in networks}
    damaged = [f"{name} {found.problem}" for name, found in states.items() if found.state is State.damaged]
    if damaged:
        raise OSError("; ".join(damaged))
    return ", ".join(f"{name} {found.state.value}" for name, found in states.items())


def _kernels() -> str:
    from stylecli.ops import build

    outcome = build.outcome()
    if outcome.library is None:
        return f"not compiled, plain torch computes instead, slower: {outcome.reason}"
    return f"{outcome.about} ({outcome.path or 'for this run alone'})"


def _devices() -> str:
    from stylecli.devices import here
    from stylecli.ops import proof

    return ", ".join(f"{device} ({proof.name_of(device)})" for device in here())


def _one_picture() -> str:
    """From file to file, as ``stylize image`` does it."""
    import numpy as np

    from stylecli.media import Picture, read_picture, write_picture
    from stylecli.paint.stylizer import Stylizer
    from stylecli.samples import CONTENTS, STYLES

    begun = time.perf_counter()
    content, style = (np.asarray(next(iter(those.values()))(96)) for those in (CONTENTS, STYLES))
    stylizer = Stylizer.from_pretrained().encode_style(style)
    with tempfile.TemporaryDirectory(prefix="stylecli-") as folder:
        path = Path(folder) / "photo.png"
        write_picture(Picture(content), path)
        picture = read_picture(path)
        painted = stylizer(picture.pixels)
        write_picture(Picture(painted), path)
        back = read_picture(path).pixels
    if back.std() < 1 or np.array_equal(back, picture.pixels):
        raise ValueError("what came out is no painting")
    seconds = time.perf_counter() - begun
    return f"painted on {stylizer.device} in {str(stylizer.dtype).removeprefix('torch.')}, {seconds:.1f} s with loading"
