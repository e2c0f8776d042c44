"""Numbered pictures, or a folder of pictures, as a film; and films as numbered pictures."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from stylecli.errors import InputError
from stylecli.media.discover import find_images
from stylecli.media.formats import readable_suffixes
from stylecli.media.picture import FloatArray, Picture
from stylecli.media.reading import read_picture
from stylecli.media.resizing import resize_to_fit
from stylecli.media.transparency import continued
from stylecli.media.video.clip import Clip, Excerpt, Frame, Part
from stylecli.media.video.colour import Colour
from stylecli.media.writing import write_picture
from stylecli.paint.pixels import to_depth, to_whole

RATE = Fraction(25)
"""Frames per second of pictures that do not say."""

_FIELD = re.compile(r"%(0?)(\d*)d")
_RGB = Colour(2, 0, 1, 13)  # full range, no matrix, sRGB


def is_pattern(path: Path | str) -> bool:
    """Whether this names numbered pictures, as ``frames/%05d.png`` does; in the name of a file that exists, and of
    what is no picture, ``%`` is a letter like any other (``50%discount.mp4``)."""
    path = Path(path)
    is_picture = path.suffix.lower() in readable_suffixes()
    return is_picture and len(_FIELD.findall(path.name)) == 1 and not os.path.lexists(path)


def numbered_name(pattern: Path, number: int) -> Path:
    """The picture of that number."""
    name = _FIELD.sub(lambda match: str(number).rjust(int(match[2] or 0), match[1] or " "), pattern.name)
    return pattern.with_name(name)


def numbered(pattern: Path) -> list[tuple[int, Path]]:
    """The files that there are of a pattern, in the order of their numbers."""
    before, zero, width, after = re.split(_FIELD, pattern.name)
    digits = rf"\d{{{width},}}" if zero and width else r"\d+"
    fits = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    found = []
    for path in pattern.parent.glob(f"{glob.escape(before)}*{glob.escape(after)}"):
        match = fits.fullmatch(path.name)
        if match and path.is_file():
            found.append((int(match[1]), path))
    return sorted(found)


@dataclass
class SequenceSource:
    """Pictures as a source of frames, ``excerpt.fps`` (25 by default) of them a second. Raises InputError."""

    path: Path  # a pattern or a folder
    excerpt: Excerpt
    clip: Clip = field(init=False)
    origin: int = field(init=False, default=0)
    numbers: Sequence[int] | None = field(init=False, default=None)
    """Of the pictures, in the order of ``Frame.pts``; None for a folder, whose names are what they are."""
    warnings: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if is_pattern(self.path):
            files = numbered(self.path)
        else:
            files = list(
                enumerate((one.path for one in find_images([str(self.path)], recursive=False).images), 1)
            )
        if not files:
            raise InputError(f"{self.path}: no such pictures")
        rate = self.excerpt.fps or RATE
        begin = 0 if self.excerpt.start is None else round(self.excerpt.start * rate)
        end = len(files) if self.excerpt.end is None else round(self.excerpt.end * rate)
        files = files[begin:end][: self.excerpt.max_frames]
        paths = [path for _, path in files]
        if not paths:
            raise InputError(f"{self.path}: no pictures between --start and --end")
        self._paths = paths
        if is_pattern(self.path):
            self.numbers = [number for number, _ in files]
        first = self._read(paths[0])
        H, W = first.size
        self._dtype = first.pixels.dtype  # of all frames: several are painted at once
        deep = first.pixels.dtype == np.uint16
        self.clip = Clip(
            self.path, W, H, 1 / rate, rate, len(paths), float(len(paths) / rate), _RGB, deep=deep
        )

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The pictures without the first ``skip`` that can be read; one that cannot leaves a gap."""
        good = 0
        for number, path in enumerate(self._paths):
            try:
                picture = self._read(path)
                if picture.size != (self.clip.height, self.clip.width):
                    raise InputError(f"{path.name}: not of the size {self.clip.width}x{self.clip.height}")
            except InputError as error:
                self.warnings.append(f"left out {error}")
                continue
            good += 1
            if good > skip:
                pixels = continued(to_depth(picture.pixels, self._dtype), picture.alpha)
                yield Frame(number, 1, pixels, picture.alpha)

    def _read(self, path: Path) -> Picture:
        picture = read_picture(path, max_pixels=self.excerpt.max_pixels)
        return picture if self.excerpt.max_size is None else resize_to_fit(picture, self.excerpt.max_size)


@dataclass
class SequenceSink:
    """Numbered pictures, each complete as soon as it has its name. Raises InputError."""

    pattern: Path
    numbers: Sequence[int] | None = None
    """Of the pictures, by ``Frame.pts``; None: they are counted from 1."""
    quality: int | None = None
    resumable = True
    bytes: int = field(init=False, default=0)

    def begin(self, groups: int, frames: int) -> None:
        self._count = frames
        self._files: list[Path] = []

    def add(self, frame: Frame, painted: FloatArray) -> None:
        self._count += 1
        number = self._count if self.numbers is None else self.numbers[frame.pts]
        target = numbered_name(self.pattern, number)
        whole = to_whole(painted, frame.pixels.dtype)
        write_picture(Picture(whole, alpha=frame.alpha), target, quality=self.quality)
        self._files.append(target)
        self.bytes += target.stat().st_size

    def cut(self) -> Part:
        """Nothing to write: every picture is whole already."""
        files, self._files = self._files, []
        return Part(files)

    def finish(self, last_duration: int) -> list[str]:
        return []

    def finish_partly(self, last_duration: int) -> Path | None:
        return self.pattern.parent
