"""What is known of a film before its first frame is read, and one frame of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stylecli.media.video.colour import Colour

Pixels = NDArray[Any]
"""(H, W, 3), uint8 or uint16, full range, upright."""


@dataclass(frozen=True)
class Frame:
    """One frame, upright. Times are in the film's time base.

    Attributes:
        pts: when it is shown; strictly increasing from frame to frame.
        duration: how long; 0 where the file does not say.
        alpha: (H, W) uint8 or uint16 where the film has transparency that can be kept.
    """

    pts: int
    duration: int
    pixels: Pixels
    alpha: NDArray[Any] | None = None


@dataclass(frozen=True)
class Part:
    """Where frames are safe: these files hold all of the last so many groups."""

    files: Sequence[Path] = ()
    groups: int = 1


@dataclass(frozen=True)
class Excerpt:
    """Which part of a film, and how: seconds from its beginning, a limit of frames, another rate, a smaller size.
    ``hdr``: whether HDR films become SDR (else they are refused)."""

    start: float | None = None
    end: float | None = None
    max_frames: int | None = None
    fps: Fraction | None = None
    max_size: int | None = None
    max_pixels: int = 400_000_000
    hdr: bool = True

    @property
    def covers_all(self) -> bool:
        """Whether the result has all of the film; at another rate perhaps."""
        return self.start is None and self.end is None and self.max_frames is None

    @property
    def is_whole(self) -> bool:
        """Whether every frame is painted, at its own time."""
        return self.covers_all and self.fps is None


@dataclass(frozen=True)
class Clip:
    """A film as it will be painted.

    Attributes:
        width, height: of the upright frames.
        time_base: seconds in one tick of ``Frame.pts``.
        rate: frames per second, about: of a variable rate the mean.
        frames: how many are expected; None where nothing says.
        seconds: expected duration; None where nothing says.
        aspect: width to height of one pixel.
        deep: more than 8 bits for each channel.
        alpha: whether its frames have transparency.
        sound: how many tracks of it there are.
        loop: how often an animated picture is repeated, 0 for ever.
        notices: lines for the user about what is changed.
    """

    path: Path
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    frames: int | None
    seconds: float | None
    colour: Colour
    aspect: Fraction = Fraction(1)
    deep: bool = False
    alpha: bool = False
    sound: int = 0
    loop: int = 0
    notices: tuple[str, ...] = field(default=())


def fit(width: int, height: int, max_size: int | None, multiple: int = 1) -> tuple[int, int]:
    """The size with its longer side at most ``max_size``, never larger; one that is changed is of ``multiple``."""
    if max_size is None or max(width, height) <= max_size:
        return width, height
    scale = max_size / max(width, height) / multiple
    return max(1, round(width * scale)) * multiple, max(1, round(height * scale)) * multiple
