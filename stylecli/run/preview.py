"""Three frames of a film before and after, on one picture: a look before the long run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stylecli.errors import InputError
from stylecli.files.atomic import atomic_file
from stylecli.media.video.clip import Excerpt, Frame
from stylecli.media.video.source import open_source
from stylecli.montage import grid
from stylecli.paint.pixels import FloatArray, to_image
from stylecli.run.timeline import FilmPainter

_COUNT = 3
_CELL = 640  # pixels: longer side of each picture


Finish = Callable[[Frame, FloatArray, float], FloatArray]
"""Of a frame and its painting at a time, in seconds, what is seen."""


def draw_preview(
    path: Path,
    excerpt: Excerpt,
    paint: FilmPainter,
    target: Path,
    finish: Finish = lambda frame, painted, seconds: painted,
) -> tuple[int, int]:
    """Write the picture; its width and height. Raises InputError."""
    whole = open_source(path, excerpt)
    begin = excerpt.start or 0.0
    seconds = whole.clip.seconds or 0.0
    columns, labels = [], []
    for number in range(_COUNT):
        at = begin + seconds * (2 * number + 1) / (2 * _COUNT)
        frame = _on_screen(path, excerpt, at)
        if frame is None:
            continue
        painted = finish(frame, paint([frame], [at])[0], at)
        columns.append((to_image(frame.pixels), to_image(painted)))
        labels.append(f"{int(at) // 60}:{at % 60:04.1f}")
    if not columns:
        raise InputError(f"{path}: not one frame of it can be shown")
    sheet = grid(
        [list(row) for row in zip(*columns, strict=True)],
        column_labels=labels,
        cell=max(8, min(_CELL, max(whole.clip.width, whole.clip.height))),
    )
    with atomic_file(target) as file:
        sheet.save(file, format="PNG")  # type: ignore[arg-type]
    return sheet.size


def _on_screen(path: Path, excerpt: Excerpt, at: float) -> Frame | None:
    """What is seen at a time; of a film that ends before it (its length was a guess) the first frame."""
    for begin in (at, excerpt.start):
        try:
            source = open_source(path, replace(excerpt, start=begin, end=None, max_frames=1))
            frame = next(iter(source.frames()), None)
        except InputError:
            if begin != at:
                raise
            continue
        if frame is not None:
            return frame
    return None
