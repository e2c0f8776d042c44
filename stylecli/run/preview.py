"""Three frames of a film before and after, on one picture: a look before the long run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stylecli.files.atomic import atomic_file
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.source import open_source
from stylecli.montage import grid
from stylecli.paint.pixels import to_image
from stylecli.run.timeline import FilmPainter

_COUNT = 3
_CELL = 640  # pixels: longer side of each picture


def draw_preview(path: Path, excerpt: Excerpt, paint: FilmPainter, target: Path) -> tuple[int, int]:
    """Write the picture; its width and height. Raises InputError."""
    whole = open_source(path, excerpt)
    begin = excerpt.start or 0.0
    seconds = whole.clip.seconds or 0.0
    columns, labels = [], []
    for number in range(_COUNT):
        at = begin + seconds * (2 * number + 1) / (2 * _COUNT)
        source = open_source(path, replace(excerpt, start=at, end=None, max_frames=1))
        for frame in source.frames():
            painted = paint([frame], [at])[0]
            columns.append((to_image(frame.pixels), to_image(painted)))
            labels.append(f"{int(at) // 60}:{at % 60:04.1f}")
    sheet = grid(
        [list(row) for row in zip(*columns, strict=True)],
        column_labels=labels,
        cell=min(_CELL, max(whole.clip.width, whole.clip.height)),
    )
    with atomic_file(target) as file:
        sheet.save(file, format="PNG")  # type: ignore[arg-type]
    return sheet.size
