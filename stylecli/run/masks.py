"""Masks as the user names them: one for everything, a film, or a folder of masks by the names of pictures."""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import InputError, UsageError
from stylecli.files.cache import digest_of
from stylecli.files.remote import local_only
from stylecli.paint.settings import Settings, fingerprint
from stylecli.run.events import STREAM, Event, Failed
from stylecli.run.paths import exists, is_folder

if TYPE_CHECKING:
    from stylecli.media.video.clip import Frame
    from stylecli.paint.regions import Mask, MaskArray, Regions
    from stylecli.run.plan import Plan, Task
    from stylecli.run.style_specs import StyleSpec

log = logging.getLogger(__name__)
_SHAPE = 1.02  # sides' proportions that differ by less are one shape
_BEFORE = 1.0  # seconds: a film of masks is opened so much before the time that is asked for
_SAME_TIME = 1e-3


@dataclass(frozen=True)
class Masks:
    """``path``: a picture, a film, numbered pictures, or a folder of masks named like what they are of."""

    path: Path
    invert: bool = False
    feather: float = 0.0

    @property
    def files(self) -> list[Path]:
        """All files that it stands for, as far as they are pictures or films of one file."""
        from stylecli.run.film_inputs import files_read

        return [*files_read(self.path)]

    def with_files(self, here: Mapping[Path, Path]) -> Masks:
        """The same at another place, where ``here`` knows one."""
        return replace(self, path=here.get(self.path, self.path))

    def check(self) -> None:
        """Raises UsageError where there is no such mask."""
        from stylecli.media.video.sequence import is_pattern, numbered

        local_only(self.path)
        if exists(self.path) or (is_pattern(self.path) and numbered(self.path)):
            return
        raise UsageError(f"mask {self.path} does not exist")

    def of(self, source: Path) -> Path:
        """The mask for ``source``. Raises InputError where the folder has none, or several."""
        if not is_folder(self.path) or _is_frames(source):
            return self.path
        if source == STREAM:
            raise InputError(
                f"stdin has no name, by which a mask in {self.path} could be found: name one file"
            )
        for folder in self._folders(source):
            found = [path for path in sorted(folder.iterdir()) if _names(path, source) and path.is_file()]
            exact = [path for path in found if path.stem == source.name]
            found = exact or found
            if len(found) > 1:
                raise InputError(f"{source}: two masks of its name: {found[0]} and {found[1]}")
            if found:
                return found[0]
        raise InputError(f"{source}: no mask of its name in {self.path} (such as {source.stem}.png)")

    def _folders(self, source: Path) -> Iterator[Path]:
        """The mask folder's own subfolder of the source's folder first, then itself."""
        parts = Path(os.path.abspath(source)).parent.parts[1:]  # noqa: PTH100
        for begin in range(len(parts) + 1):
            folder = self.path.joinpath(*parts[begin:])
            if is_folder(folder):
                yield folder

    def fingerprint(self, source: Path) -> str:
        """Of the mask for ``source`` and of what becomes of it. Raises InputError."""
        from stylecli.run.film_inputs import files_read

        digest = hashlib.sha256(f"{self.invert} {self.feather!r}".encode())
        for path in files_read(self.of(source)):
            try:
                status = path.stat()
                digest.update(_digest_of(path, status.st_size, status.st_mtime_ns).encode())
            except OSError as error:
                raise InputError(f"mask {path}: cannot be read: {error.strerror or error}") from None
        return digest.hexdigest()[:16]

    def still(self, source: Path, max_pixels: int) -> Mask:
        """The mask for a picture. Raises InputError, also for a film."""
        path = self.of(source)
        if _moves(path):
            raise InputError(f"mask {path} is a film: it is for stylize video")
        return StillMask(path, self, source, max_pixels)

    def of_film(self, source: Path, rate: Fraction, max_pixels: int) -> Mask:
        """The mask for a film of ``rate`` frames per second. Raises InputError."""
        path = self.of(source)
        if is_folder(path) or _moves(path):
            return MovingMask(path, self, source, rate, max_pixels)
        return StillMask(path, self, source, max_pixels)


@lru_cache(maxsize=1024)
def _digest_of(path: Path, size: int, changed: int) -> str:
    """One mask may be for thousands of pictures."""
    return digest_of(path)


def _is_frames(source: Path) -> bool:
    """Whether a film is a folder of pictures or numbered ones: then so is its mask."""
    from stylecli.media.video.sequence import is_pattern

    return source != STREAM and (is_folder(source) or is_pattern(source))


def _names(mask: Path, source: Path) -> bool:
    """Whether a mask is named after a source: sky.png or sky.jpg.png for sky.jpg."""
    from stylecli.media.formats import readable_suffixes
    from stylecli.media.video.source import SUFFIXES

    known = mask.suffix.lower() in readable_suffixes() | SUFFIXES
    return known and not mask.name.startswith(".") and mask.stem in (source.stem, source.name)


def _moves(path: Path) -> bool:
    from stylecli.media.video.animation import is_animation
    from stylecli.media.video.sequence import is_pattern
    from stylecli.media.video.source import SUFFIXES

    if path.suffix.lower() in (".webp", ".gif", ".png", ".apng"):
        return is_pattern(path) or is_animation(path)
    return is_pattern(path) or path.suffix.lower() in SUFFIXES


class StillMask:
    """One picture as a mask. It is read when it is first needed, and kept in the size that was asked for last."""

    def __init__(self, path: Path, masks: Masks, source: Path, max_pixels: int) -> None:
        self._path, self._masks, self._source, self._max_pixels = path, masks, source, max_pixels
        self._size: tuple[int, int] | None = None
        self._fitted: MaskArray

    def at(self, height: int, width: int, seconds: float = 0.0) -> MaskArray:
        if self._size != (height, width):
            from stylecli.paint.regions import fitted

            mask = self._read()
            _tell_shape(self._path, mask, height, width, self._source)
            self._fitted, self._size = fitted(mask, height, width, self._masks.feather), (height, width)
        return self._fitted

    def _read(self) -> MaskArray:
        from stylecli.media import read_picture
        from stylecli.paint.regions import mask_of

        picture = read_picture(self._path, name=f"mask {self._path}", max_pixels=self._max_pixels)
        lossy = picture.format in ("JPEG", "MPO") or (
            picture.format in ("WEBP", "AVIF") and not picture.lossless
        )
        return mask_of(picture.pixels, picture.alpha, invert=self._masks.invert, lossy=lossy)


@dataclass
class MovingMask:
    """A film as a mask, read as the film that it is for goes on; its last frame stays. Not to be shared by threads."""

    path: Path
    masks: Masks
    source: Path
    rate: Fraction
    max_pixels: int
    _frames: Iterator[tuple[float, Frame]] | None = field(init=False, default=None)
    _now: tuple[float, Frame] | None = field(init=False, default=None)
    _next: tuple[float, Frame] | None = field(init=False, default=None)
    _made: tuple[float, MaskArray] | None = field(init=False, default=None)

    def at(self, height: int, width: int, seconds: float = 0.0) -> MaskArray:
        from stylecli.paint.regions import fitted, mask_of

        begun, frame = self._seen_at(seconds)
        if self._made is None or self._made[0] != begun or self._made[1].shape != (height, width):
            mask = mask_of(frame.pixels, frame.alpha, invert=self.masks.invert, lossy=True)
            if self._made is None:
                _tell_shape(self.path, mask, height, width, self.source)
            self._made = begun, fitted(mask, height, width, self.masks.feather)
        return self._made[1]

    def _seen_at(self, seconds: float) -> tuple[float, Frame]:
        """The mask's frame that is on screen at a time, and since when."""
        if self._now is None or seconds + _SAME_TIME < self._now[0]:
            begin = max(0.0, seconds - _BEFORE)
            self._open(float(math.floor(begin * self.rate) / self.rate) if _is_frames(self.path) else begin)
            if self._now is None or seconds + _SAME_TIME < self._now[0]:
                self._open(0.0)  # it ends before that time
        if self._now is None:
            raise InputError(f"mask {self.path}: not one frame of it can be read")
        assert self._frames is not None
        while self._next is not None and self._next[0] <= seconds + _SAME_TIME:
            self._now, self._next = self._next, next(self._frames, None)
        return self._now

    def _open(self, begin: float) -> None:
        from stylecli.media.video.clip import Excerpt
        from stylecli.media.video.source import open_source

        sequence = _is_frames(self.path)
        excerpt = Excerpt(begin, fps=self.rate if sequence else None, max_pixels=self.max_pixels)
        try:
            source = open_source(self.path, excerpt)
            base = float(source.clip.time_base)
            # The first picture of an excerpt has the number 0.
            self._frames = ((begin + frame.pts * base, frame) for frame in source.frames())
            self._now, self._next = next(self._frames, None), next(self._frames, None)
        except InputError as error:
            self._now = None
            if not begin:
                raise InputError(f"mask {error}") from error


def _tell_shape(path: Path, mask: MaskArray, height: int, width: int, source: Path) -> None:
    h, w = mask.shape
    shape = (w * height) / (h * width)
    if not 1 / _SHAPE < shape < _SHAPE:
        log.warning(f"mask {path} ({w} × {h}) is stretched to the shape of {source} ({width} × {height})")


def regions_of(
    masks: Sequence[Masks | None], source: Path, faces: float = 1.0, max_pixels: int = 400_000_000
) -> Regions | None:
    """Where a picture is painted, by the masks of its layers and at the end that of all, and how much in ``faces``;
    None: everywhere. Raises InputError."""
    *layers, whole = [None if one is None else one.still(source, max_pixels) for one in masks]
    if not any(layers) and whole is None and faces == 1:
        return None
    from stylecli.paint.faces import Faces
    from stylecli.paint.regions import Regions

    return Regions(layers, whole, Faces(faces) if faces < 1 else None)


def mask_settings(masks: Sequence[Masks | None], source: Path) -> Settings:
    """What stands for them in a result's settings: nothing without a mask. Raises InputError."""
    if not any(masks):
        return {}
    return {"mask": fingerprint({"masks": [one and one.fingerprint(source) for one in masks]})}


def with_masks(
    plan: Plan, masks: Callable[[Task], Sequence[Masks | None]], emit: Callable[[Event], None]
) -> Plan:
    """``plan`` without those whose mask is missing or cannot be read, which are failures."""

    def is_there(task: Task) -> bool:
        try:
            mask_settings(masks(task), task.source)
        except InputError as error:
            reason = str(error).removeprefix(f"{task.source}: ")
            emit(Failed(task.source, reason, task.target, task.style))
            return False
        return True

    todo, finished = (tuple(filter(is_there, tasks)) for tasks in (plan.todo, plan.finished))
    return replace(plan, todo=todo, finished=finished)


def kept_masks(specs: Sequence[StyleSpec], mask: Masks | None) -> dict[Path, str]:
    """Files that no result may replace."""
    named = [*(masks for spec in specs for masks in spec.masks), mask]
    return {path: "a mask" for masks in named if masks is not None for path in masks.files}
