"""A face that OpenCV's cascades take for one, drawn: no photograph of a person belongs into this repository."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from stylecli.errors import UsageError
from stylecli.paint.faces import check_detector


def has_detector() -> bool:
    try:
        check_detector()
    except UsageError:
        return False
    return True


needs_detector = pytest.mark.skipif(
    not has_detector(), reason="this OpenCV has no cascades: pip install 'opencv-python<5'"
)


def face(
    size: tuple[int, int] = (240, 160), at: tuple[float, float] = (120, 80), side: float = 80
) -> Image.Image:
    """A picture of ``size`` with a face around ``at``; a detector's box would be ``side`` wide."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    wall = np.stack([90 + 40 * x / width, 120 + 30 * y / height, 140 - 20 * x / width], -1)
    picture = Image.fromarray(wall.astype(np.uint8))
    draw = ImageDraw.Draw(picture)

    def oval(dx: float, dy: float, across: float, down: float, colour: tuple[int, int, int]) -> None:
        cx, cy = at[0] + dx * side, at[1] + dy * side
        box = (cx - across * side, cy - down * side, cx + across * side, cy + down * side)
        draw.ellipse(box, fill=colour)

    oval(0, -0.1, 0.52, 0.72, (60, 40, 30))  # hair
    oval(0, 0.75, 0.22, 0.3, (205, 160, 135))  # neck
    oval(0, 0.06, 0.42, 0.6, (225, 180, 155))
    for eye in (-0.19, 0.19):
        oval(eye, -0.1, 0.12, 0.075, (150, 105, 90))
        oval(eye, -0.1, 0.085, 0.04, (235, 230, 225))
        oval(eye, -0.1, 0.04, 0.04, (30, 20, 20))
        oval(eye, -0.2, 0.12, 0.022, (70, 45, 35))
        oval(1.35 * eye, 0.13, 0.09, 0.09, (235, 190, 165))
    oval(0, 0.02, 0.035, 0.16, (240, 200, 180))
    oval(0, 0.17, 0.08, 0.03, (170, 115, 100))
    oval(0, 0.34, 0.15, 0.045, (165, 80, 80))
    oval(0, 0.34, 0.14, 0.012, (110, 50, 55))
    return picture.filter(ImageFilter.GaussianBlur(side / 60))
