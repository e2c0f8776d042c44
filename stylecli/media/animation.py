"""Animated GIF, WebP, PNG and AVIF: every frame with its duration, in and out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylecli.files.remote import opened
from stylecli.media.modes import Colours
from stylecli.media.picture import Frame, Picture
from stylecli.media.pillow_guard import pillow_limits, readable_formats

ANIMATED = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
_USUAL = 100  # milliseconds, where the file says nothing

Convert = Callable[[Image.Image], Colours]


def read_frames(image: Image.Image, frames: int, convert: Convert, notices: list[str]) -> list[Frame]:
    """The frames after the first of an opened image, of which ``convert`` makes pixels and alpha; those before the
    first that cannot be decoded."""
    found = []
    for number in range(1, frames):
        try:
            image.seek(number)
            colours = convert(image)
        except MemoryError:
            raise
        except Exception:
            notices.append(f"frame {number + 1} of {frames} is damaged: only those before it are taken")
            break
        found.append(Frame(colours.pixels, colours.alpha, duration(image), colours.own))
    return found


def duration(image: Image.Image) -> float:
    """Of the frame at hand, in milliseconds."""
    value = image.info.get("duration", _USUAL)
    return float(value) if isinstance(value, int | float) and value >= 0 else _USUAL


def is_animated(path: Path) -> bool:
    """Whether the file holds several frames that follow one another. Reads little of it; never raises."""
    try:
        with (
            pillow_limits(1 << 40),
            opened(path) as file,
            Image.open(file, formats=readable_formats()) as image,
        ):
            return image.format in ANIMATED and bool(getattr(image, "is_animated", False))
    except Exception:
        return False


def options(picture: Picture, images: Sequence[Image.Image], writer: str) -> dict[str, Any]:
    """What ``Image.save`` of the first of ``images`` needs to write them all."""
    times = [picture.duration, *(frame.duration for frame in picture.more)]
    loop = picture.loop
    if writer == "GIF":
        # Its alpha is on or off; what was there before is taken away where it is off.
        extra: dict[str, Any] = {"disposal": 2} if "A" in images[0].getbands() else {}
        if loop is None:
            return {"save_all": True, "append_images": images[1:], "duration": _whole(times, 10)} | extra
    elif writer == "PNG":
        extra = {"disposal": 0, "blend": 0}
    else:
        extra = {}
    return {
        "save_all": True,
        "append_images": images[1:],
        "duration": _whole(times, 10 if writer == "GIF" else 1),
        "loop": loop or 0,
    } | extra


def _whole(times: Sequence[float], step: int) -> list[int]:
    """Milliseconds, multiples of ``step`` (a GIF counts hundredths of a second), whose sum does not drift from that of
    ``times``."""
    return (np.diff(np.rint(np.cumsum([0.0, *times]) / step)) * step).astype(int).tolist()


def alike(images: Sequence[Image.Image]) -> list[Image.Image]:
    """The same images, all with alpha if one has it."""
    if len({image.mode for image in images}) == 1:
        return list(images)
    return [image.convert("RGBA") for image in images]
