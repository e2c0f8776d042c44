"""Animated GIF, WebP and PNG as films; they are written as :mod:`stylecli.media.animation` writes animations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from stylecli.errors import InputError
from stylecli.media import animation
from stylecli.media.picture import FloatArray, Picture
from stylecli.media.picture import Frame as Still
from stylecli.media.pillow_guard import pillow_limits, readable_formats
from stylecli.media.transparency import continued
from stylecli.media.video.clip import Clip, Excerpt, Frame, Part, fit
from stylecli.media.video.colour import Colour
from stylecli.media.writing import write_picture
from stylecli.paint.pixels import to_depth, to_whole

FORMATS = {".gif": "GIF", ".webp": "WEBP", ".apng": "PNG", ".png": "PNG"}
_TICK = Fraction(1, 1000)
_USUAL_MS = 100  # what browsers make of a duration of zero
_QUALITY = 90  # of WebP: several frames are large
_RGB = Colour(2, 0, 1, 13)


def is_animation(path: Path) -> bool:
    """Whether it is a GIF, WebP or PNG of more than one frame. Never raises."""
    return path.suffix.lower() in FORMATS and animation.is_animated(path)


@dataclass
class AnimationSource:
    """An animated picture as a source of frames. Raises InputError in one line."""

    path: Path
    excerpt: Excerpt
    clip: Clip = field(init=False)
    warnings: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        try:
            with (
                pillow_limits(self.excerpt.max_pixels),
                Image.open(self.path, formats=readable_formats()) as image,
            ):
                durations = []
                for number in range(getattr(image, "n_frames", 1)):
                    image.seek(number)
                    if image.format == "WEBP":
                        image.load()  # only then is the duration this frame's
                    durations.append(round(animation.duration(image)) or _USUAL_MS)
                width, height = fit(*image.size, self.excerpt.max_size)
                loop = int(image.info.get("loop", 1))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(f"{self.path}: cannot be read: {' '.join(str(error).split())}") from None
        self._shown = self._choose(durations)
        seconds = sum(duration for _, _, duration in self._shown) / 1000
        count = len(self._shown)
        if not count:
            raise InputError(f"{self.path}: no frames between --start and --end")
        rate = self.excerpt.fps or Fraction(count / seconds if seconds else 10).limit_denominator(1000)
        base = _TICK if self.excerpt.fps is None else 1 / self.excerpt.fps
        self.clip = Clip(self.path, width, height, base, rate, count, seconds, _RGB, loop=loop)

    def _choose(self, durations: list[int]) -> list[tuple[int, int, int]]:
        """(frame of the file, tick, duration) of what is painted; ticks of ``clip.time_base``, duration in ms."""
        begins = np.cumsum([0, *durations]).tolist()
        low = round(1000 * (self.excerpt.start or 0))
        high = begins[-1] if self.excerpt.end is None else min(begins[-1], round(1000 * self.excerpt.end))
        if self.excerpt.fps is None:
            spans = [(i, max(low, begins[i]), min(high, begins[i + 1])) for i in range(len(durations))]
            shown = [(i, begin - low, end - begin) for i, begin, end in spans if begin < end]
        else:
            step = 1000 / self.excerpt.fps
            times = [low + tick * step for tick in range(max(0, round((high - low) / step)))]
            frames = np.searchsorted(begins, [float(time) for time in times], side="right") - 1
            shown = [(int(frame), tick, round(step)) for tick, frame in enumerate(frames)]
        return shown[: self.excerpt.max_frames]

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames without the first ``skip``."""
        wanted = self._shown[skip:]
        with (
            pillow_limits(self.excerpt.max_pixels),
            Image.open(self.path, formats=readable_formats()) as image,
        ):
            for number, tick, duration in wanted:
                try:
                    image.seek(number)
                    shown = image.convert("RGBA")
                except (OSError, ValueError, SyntaxError, EOFError) as error:
                    self.warnings.append(
                        f"damaged from frame {number + 1} on ({error}), those before are painted"
                    )
                    return
                if shown.size != (self.clip.width, self.clip.height):
                    shown = shown.resize((self.clip.width, self.clip.height), Image.Resampling.LANCZOS)
                pixels = np.asarray(shown)
                alpha = None if pixels[..., 3].min() == 255 else np.ascontiguousarray(pixels[..., 3])
                ticks = round(duration * _TICK / self.clip.time_base)
                yield Frame(tick, ticks, continued(np.ascontiguousarray(pixels[..., :3]), alpha), alpha)


@dataclass
class AnimationSink:
    """An animated picture, written when all its frames are there: they are held as bytes until then."""

    target: Path
    clip: Clip
    resumable = False
    bytes: int = field(init=False, default=0)

    def begin(self, groups: int, frames: int) -> None:
        self._frames: list[Still] = []
        self._begins: list[int] = []

    def add(self, frame: Frame, painted: FloatArray) -> None:
        alpha = None if frame.alpha is None else to_depth(frame.alpha, np.uint8)
        self._frames.append(Still(to_whole(painted, np.uint8), alpha, 0.0))
        self._begins.append(round(frame.pts * self.clip.time_base / _TICK))
        self.bytes += painted.size + (0 if alpha is None else alpha.size)

    def cut(self) -> Part:
        """Nothing to do: there is one group, and it is in memory."""
        return Part()

    def finish(self, last_duration: int) -> list[str]:
        """Write the file. Raises InputError."""
        last = round(last_duration * self.clip.time_base / _TICK) or _USUAL_MS
        durations = np.diff([*self._begins, self._begins[-1] + last]).tolist()
        first, *rest = (replace(one, duration=ms) for one, ms in zip(self._frames, durations, strict=True))
        gif = self.target.suffix.lower() == ".gif"
        loop = None if gif and self.clip.loop == 1 else self.clip.loop  # without the block it is shown once
        picture = Picture(first.pixels, first.alpha, more=tuple(rest), duration=first.duration, loop=loop)
        write_picture(picture, self.target, format=FORMATS[self.target.suffix.lower()], quality=_QUALITY)
        self.bytes = self.target.stat().st_size
        return []

    def finish_partly(self, last_duration: int) -> Path | None:
        return None
