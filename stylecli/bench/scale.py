"""Time and memory of ``stylize image`` on ever larger photographs, each in a process of its own.

The photographs are one of the demo's scenes at any size. This process stays small, and so do figures that the system
keeps of its children: it draws nothing itself.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError, StylizeError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from stylecli.bench.section import Section

_ASPECT = 4 / 3


@dataclass(frozen=True)
class Row:
    """One size.

    Attributes:
        seconds: of the whole process, from start to end. painting: of these, between reading and writing.
        peak: most memory that the process held, in bytes.
    """

    width: int
    height: int
    seconds: float
    painting: float
    peak: int

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


def run(
    megapixels: Sequence[float],
    options: Sequence[str] = (),
    prompt: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Iterator[Row]:
    """One row for each size; ``options`` go to ``stylize image``, or to ``stylize text`` with a ``prompt``.

    Raises:
        UsageError: on Windows, which does not tell a process's memory. StylizeError: what the child said.
    """
    if not hasattr(os, "wait4"):
        raise UsageError(
            "stylize bench scale needs a system that tells the memory of a process (not Windows)"
        )
    with tempfile.TemporaryDirectory(prefix="stylize-scale-") as name:
        folder = Path(name)
        style = folder / "style.png"
        _draw_apart(style, 512, 512)
        for size in megapixels:
            width = max(1, round(math.sqrt(size * 1e6 * _ASPECT)))
            height = max(1, round(width / _ASPECT))
            photo, target = folder / f"{width}x{height}.jpg", folder / "painted.jpg"
            _draw_apart(photo, width, height)
            progress(f"{width} × {height}")
            manner = (
                ["image", str(photo), "-s", str(style)]
                if prompt is None
                else ["text", str(photo), "-p", prompt]
            )
            command = [sys.executable, "-m", "stylecli", *manner, "-o", str(target), "--json", *options]
            yield _measured(command, folder / "said", width, height)
            photo.unlink()
            target.unlink()


def _measured(command: Sequence[str], said: Path, width: int, height: int) -> Row:
    begun = time.perf_counter()
    with said.open("wb") as out, said.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = said.with_suffix(".err").read_text(errors="replace").strip().splitlines()
        reason = next(
            (line for line in lines if line.startswith(("failed", "error"))), lines[-1] if lines else ""
        )
        error = StylizeError(f"{width} × {height}: exit code {process.returncode}: {reason}")
        error.exit_code = process.returncode if process.returncode > 0 else 1
        raise error
    events = [json.loads(line) for line in said.read_text().splitlines()]
    painting = sum(event["seconds"] for event in events if event["event"] == "done")
    unit = 1 if sys.platform == "darwin" else 1024
    return Row(width, height, seconds, painting, usage.ru_maxrss * unit)


def _draw_apart(path: Path, width: int, height: int) -> None:
    """Draw a photograph in a process of its own: a child counts as large as its parent once was."""
    made = subprocess.run([sys.executable, "-m", __spec__.name, str(path), str(width), str(height)])
    if made.returncode:
        raise InputError(f"{path}: a picture of {width} × {height} could not be made")


def draw_photograph(path: Path, width: int, height: int) -> None:
    """Save one of the demo's scenes, enlarged, with some grain."""
    import numpy as np
    from PIL import Image

    from stylecli.samples import CONTENTS, STYLES

    drawings = STYLES["swirling-night"] if path.stem == "style" else CONTENTS["lighthouse"]
    picture = np.array(drawings(512).resize((width, height), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(0).integers(0, 9, (512, width, 3), dtype=np.uint8)
    for top in range(0, height, 512):
        part = picture[top : top + 512]
        part[:] = np.minimum(part, 247) + grain[: len(part)]
    Image.fromarray(picture).save(path, quality=90)


def exponent(rows: Sequence[Row]) -> float | None:
    """The power of the number of pixels by which the time grows (1: in step); None for fewer than two sizes."""
    if len({row.megapixels for row in rows}) < 2:
        return None
    import numpy as np

    sizes, times = np.log([row.megapixels for row in rows]), np.log([row.seconds for row in rows])
    return float(np.polyfit(sizes, times, 1)[0])


def plot(rows: Sequence[Row], limit: int | None = None) -> Image.Image:
    """Seconds and gigabytes against megapixels, and a line for the limit; what grows in step rises at 45 degrees."""
    from stylecli.bench.plots import line_plot

    curves = {
        "seconds": [(row.megapixels, row.seconds) for row in rows],
        "peak memory": [(row.megapixels, row.peak / (1 << 30)) for row in rows],
    }
    if limit is not None:
        sizes = [row.megapixels for row in rows]
        curves["--memory-limit"] = [(size, limit / (1 << 30)) for size in (min(sizes), max(sizes))]
    return line_plot(curves, "megapixels", "seconds; memory in GB", logarithmic=True)


def section(rows: Sequence[Row], limit: int | None = None) -> Section:
    """The rows as a table and a plot."""
    from stylecli.bench.section import Section
    from stylecli.memory import show_size

    cells = [
        (
            f"{r.width} x {r.height}",
            f"{r.megapixels:.1f}",
            f"{r.seconds:.1f}",
            f"{r.seconds / r.megapixels:.2f}",
            show_size(r.peak),
        )
        for r in rows
    ]
    power = exponent(rows)
    grows = f"Time grows with the number of pixels to the power of {power or 0:.2f}."
    return Section(
        "scale",
        "Time and peak memory of whole runs",
        "stylize bench scale",
        ("size", "megapixels", "seconds", "s/megapixel", "peak memory"),
        cells,
        [asdict(row) | {"megapixels": row.megapixels} for row in rows],
        (("Time and peak memory against size.", plot(rows, limit)),),
        () if power is None else (grows,),
    )


if __name__ == "__main__":
    draw_photograph(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
