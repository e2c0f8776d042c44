"""What was taken for faces, before anything is painted: in words, and drawn on the pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stylecli.paint.faces import CORE, RIM, Box, oval
from stylecli.paint.pixels import to_image
from stylecli.paint.regions import Pixels

_SIDE = 1024  # pixels: longer side of a drawing


@dataclass(frozen=True)
class Finding:
    """Faces of one picture, or of the frame of a film that shows most; ``text`` says where else."""

    source: Path
    faces: list[Box]
    pixels: Pixels
    text: str = ""

    def words(self) -> str:
        count = len(self.faces)
        return f"{'no face' if not count else 'one face' if count == 1 else f'{count} faces'}{self.text}"


def drawn(findings: Iterable[Finding]) -> Iterator[tuple[Finding, Path | None]]:
    """Each finding, and a picture of it in a temporary folder where there are faces."""
    folder: Path | None = None
    for number, finding in enumerate(findings, 1):
        path = None
        if finding.faces:
            folder = folder or Path(tempfile.mkdtemp(prefix="stylize-faces-"))
            path = folder / f"{number:03d}-{finding.source.stem.replace('%', '')}.png"
            _draw(finding).save(path)
        yield finding, path


def _draw(finding: Finding) -> Image.Image:
    """The picture with an oval around each face, and another one where the soft rim ends."""
    picture = to_image(np.ascontiguousarray(finding.pixels))
    picture.thumbnail((_SIDE, _SIDE))
    pen = ImageDraw.Draw(picture)
    for box in finding.faces:
        x, y, across, down = oval(box, picture.height, picture.width)
        for reach, colour in ((CORE, "#ffffff"), (RIM, "#ff3030")):
            bounds = (x - reach * across, y - reach * down, x + reach * across, y + reach * down)
            pen.ellipse(bounds, outline=colour, width=max(2, max(picture.size) // 300))
    return picture
