"""Faces: where they are in a picture, and the mask by which they are painted with less strength.

Two of OpenCV's cascades look for faces that are seen from the front; a face is what both find, or what the better one
is sure of. They come with OpenCV 4, work without a network connection and know nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from stylecli.errors import UsageError
from stylecli.paint.pixels import strips, to_bytes
from stylecli.paint.regions import FULL, MaskArray, Pixels

_SIDE = 480  # pixels: longer side of what is looked at
_LEAST, _SMALLEST = 20, 14  # a face has so many pixels there at least, and this share of the shorter side
_STEP, _NEIGHBOURS = 1.15, 4  # between sizes that are tried; agreeing windows that make a find
_GOOD, _USUAL = "haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml"
# Confidences of the good cascade, alone and if the other one agrees, and of the other one: chosen on 31 photographs.
_SURE, _LIKELY, _AGREES = 56.0, 55.3, 4.0
_SAME = 0.4  # overlap of two boxes of one face
_WIDTH, _HEIGHT, _LOWER = 0.54, 0.72, 0.02  # of the oval's half axes and its centre, in sides of the box
CORE, RIM = 0.85, 1.3
"""Of the oval: all within is the face, and nothing beyond."""


class Box(NamedTuple):
    """Where a face is, in shares of the picture's width and height, and how much of it counts (0..1)."""

    left: float
    top: float
    width: float
    height: float
    share: float = 1.0


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    common = max(0.0, width) * max(0.0, height)
    return common / max(1e-12, one.width * one.height + other.width * other.height - common)


def find_faces(pixels: Pixels) -> list[Box]:
    """Faces in a picture (H, W, 3) of any kind, from the left to the right. Raises UsageError without a detector."""
    import cv2

    small = _shrunk(pixels)
    grey = cv2.equalizeHist(cv2.cvtColor(to_bytes(small), cv2.COLOR_RGB2GRAY))
    good, usual = _found(grey, _GOOD), None
    faces = []
    for box, sure in good:
        if sure < _LIKELY:
            continue
        if sure < _SURE:
            usual = _found(grey, _USUAL) if usual is None else usual
            if not any(other >= _AGREES and overlap(box, there) > _SAME for there, other in usual):
                continue
        faces.append(box)
    return sorted(faces)


def check_detector() -> None:
    """Raises UsageError where this OpenCV has none."""
    _cascade(_GOOD)


def _shrunk(pixels: Pixels) -> Pixels:
    import cv2

    height, width = pixels.shape[:2]
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _found(grey: Any, name: str) -> list[tuple[Box, float]]:
    """What one cascade finds, with its confidence."""
    height, width = grey.shape
    least = max(_LEAST, min(height, width) // _SMALLEST)
    if min(height, width) < least:
        return []
    boxes, _, sure = _cascade(name).detectMultiScale3(
        grey, _STEP, _NEIGHBOURS, minSize=(least, least), outputRejectLevels=True
    )
    return [
        (Box(x / width, y / height, w / width, h / height), float(confidence))
        for (x, y, w, h), confidence in zip(np.array(boxes).tolist(), np.ravel(sure), strict=True)
    ]


@lru_cache(maxsize=4)
def _cascade(name: str) -> Any:
    import cv2

    opencv: Any = cv2  # its version 5 has neither of these
    found = None
    if hasattr(opencv, "CascadeClassifier"):
        found = opencv.CascadeClassifier(opencv.data.haarcascades + name)
    if found is None or found.empty():
        raise UsageError(
            f"--faces: OpenCV {cv2.__version__} comes without a face detector: pip install 'opencv-python<5'"
        )
    return found


def oval(box: Box, height: int, width: int) -> tuple[float, float, float, float]:
    """Centre and half axes, in pixels of a picture of that size."""
    x, y = box.left + box.width / 2, box.top + box.height * (0.5 + _LOWER)
    return x * width, y * height, box.width * width * _WIDTH, box.height * height * _HEIGHT


def spared(boxes: Sequence[Box], height: int, width: int, strength: float) -> MaskArray:
    """A mask (H, W), full but for soft ovals over faces, where it is ``strength`` (0..1)."""
    mask = np.full((height, width), FULL, np.uint16)
    for box in boxes:
        x, y, across, down = oval(box, height, width)
        top, bottom = max(0, int(y - down * RIM)), min(height, int(y + down * RIM) + 2)
        left, right = max(0, int(x - across * RIM)), min(width, int(x + across * RIM) + 2)
        columns = ((np.arange(left, right, dtype=np.float32) + 0.5 - x) / across) ** 2
        less = np.float32((1 - strength) * box.share)
        for first, last in strips(bottom - top, max(1, right - left)):
            rows = ((np.arange(top + first, top + last, dtype=np.float32) + 0.5 - y) / down) ** 2
            away = np.sqrt(rows[:, None] + columns)  # 1 on the oval
            inside = np.clip((RIM - away) / (RIM - CORE), 0, 1)
            inside = inside * inside * (3 - 2 * inside)
            there = mask[top + first : top + last, left:right]
            np.minimum(there, np.rint(FULL * (1 - less * inside)).astype(np.uint16), out=there)
    return mask


@dataclass
class Faces:
    """A mask made from each picture itself: full but for its faces. The last picture's is kept."""

    strength: float
    _last: tuple[Pixels, list[Box]] | None = None

    def of(self, photo: Pixels, seconds: float = 0.0) -> MaskArray:
        if self._last is None or self._last[0] is not photo:
            self._last = photo, find_faces(photo)
        return spared(self._last[1], photo.shape[0], photo.shape[1], self.strength)
