"""Which style a film has at which time: one throughout, or keyframes with crossfades between them."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylecli.errors import UsageError
from stylecli.paint.options import PaintOptions
from stylecli.paint.pixels import to_floats, to_tensor
from stylecli.paint.settings import Settings, fingerprint
from stylecli.run.painters import paint, refined, resolve
from stylecli.run.parallel_map import frames_in_parallel, frames_per_batch, threads_beside
from stylecli.run.style_specs import StyleSpec, spec_of
from stylecli.run.style_text import read_style

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stylecli.media import Picture
    from stylecli.media.picture import FloatArray
    from stylecli.media.video.clip import Frame
    from stylecli.paint.style import Style
    from stylecli.paint.stylizer import Stylizer

_DIM = (
    80.0  # levels (of 255): a frame whose brightest places are darker, or darkest as bright, is taken to fade
)
_EVEN = 4.0  # levels: standard deviation under which a frame is taken for an even plane
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")


@dataclass(frozen=True)
class Timeline:
    """Looks and the seconds from which on they are seen in full, in order; in between they are mixed."""

    name: str
    keys: tuple[tuple[float, StyleSpec], ...]

    def fingerprint(self) -> str:
        """Of the styles and their times. Raises UsageError for an unreadable style image."""
        return fingerprint({"keys": [(seconds, spec.fingerprint()) for seconds, spec in self.keys]})

    def with_files(self, here: Mapping[Path, Path]) -> Timeline:
        """The same with its style images and masks at other places."""
        return replace(self, keys=tuple((seconds, spec.with_files(here)) for seconds, spec in self.keys))

    @staticmethod
    def constant(spec: StyleSpec) -> Timeline:
        return Timeline(spec.name, ((0.0, spec),))


def parse_seconds(text: str, option: str) -> float:
    """``90``, ``1:30`` or ``0:01:30.5`` in seconds. Raises UsageError."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option} {text}: not a time (write seconds, 1:30 or 0:01:30.5)")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse_keys(texts: Sequence[str]) -> Timeline:
    """Read ``0:starry.jpg 10:ukiyo-e``; a time may itself be ``1:30``. Raises UsageError in one line."""
    keys = []
    for text in texts:
        match = re.match(rf"({_CLOCK.pattern}):(.+)", text, re.DOTALL)
        if match is None:
            raise UsageError(f"--style-at {text}: write SECONDS:STYLE, as in 10:wave.jpg")
        style = read_style(match[match.lastindex or 0], f"--style-at {text}")
        keys.append((parse_seconds(match[1], "--style-at"), spec_of(style)))
    keys.sort(key=lambda key: key[0])
    for (one, _), (other, _) in itertools.pairwise(keys):
        if one == other:
            raise UsageError(f"--style-at: two styles at {one:g} s")
    return Timeline("-".join(dict.fromkeys(spec.name for _, spec in keys)), tuple(keys))


class FilmPainter:
    """Paints frames by a timeline: every style is encoded once, before the first frame."""

    def __init__(
        self, stylizer: Stylizer, timeline: Timeline, read: Callable[[Path], Picture], options: PaintOptions
    ) -> None:
        """Raises UsageError for a style image that cannot be read."""
        self._stylizer = stylizer
        self._options = options
        self._times = [seconds for seconds, _ in timeline.keys]
        self._bound = [refined(resolve(stylizer, spec, read, options), options) for _, spec in timeline.keys]

    @property
    def settings(self) -> Settings:
        """Of the network and of where it runs."""
        return self._stylizer.settings

    def workers(self, pixels: int) -> int:
        """How many frames of so many pixels should be painted at the same time."""
        return frames_in_parallel(self._stylizer, pixels)

    @property
    def threads_beside(self) -> int:
        """How many threads should follow the motion at the same time, and how many steady."""
        return threads_beside(self._stylizer)

    def at_once(self, width: int, height: int) -> int:
        """How many frames of that size should be given in one call."""
        return frames_per_batch(self._stylizer, width, height)

    def _seen_at(self, seconds: float) -> list[tuple[Stylizer, float]]:
        """What is seen at a time, with shares that sum to 1: one key's, or between two keys both's."""
        after = bisect.bisect_right(self._times, seconds)
        if after == 0 or after == len(self._times):
            return [(self._bound[max(0, after - 1)], 1.0)]
        begin, end = self._times[after - 1], self._times[after]
        share = (seconds - begin) / (end - begin)
        return [(self._bound[after - 1], 1 - share), (self._bound[after], share)]

    def style_at(self, seconds: float) -> Style:
        """The style at a time; statistics between two keys are mixed in proportion."""
        from stylecli.paint.style import Style

        styles = []
        for bound, share in self._seen_at(seconds):
            assert bound.style is not None
            styles.append((bound.style, share))
        return styles[0][0] if len(styles) == 1 else Style.blend(styles)

    def _painters_at(self, seconds: float) -> list[tuple[Stylizer, float]]:
        """Whose paintings, in which shares, are the one at a time: refined networks are of one style each, so that
        between two keys both paint."""
        if self._options.refine:
            return self._seen_at(seconds)
        return [(self._stylizer.with_style(self.style_at(seconds)), 1.0)]

    def __call__(self, frames: Sequence[Frame], seconds: Sequence[float]) -> FloatArray:
        """Frames of one size, each at its time, to (B, H, W, 3) in 0..1."""
        from stylecli.devices import own_stream

        if len(self._bound) > 1 and len(frames) > 1:  # each in its own mixture
            return np.concatenate([self([one], [at]) for one, at in zip(frames, seconds, strict=True)])
        pixels = np.stack([frame.pixels for frame in frames])  # (B, H, W, 3)
        painters = self._painters_at(seconds[0])
        with own_stream(self._stylizer.device):  # of this thread: others send and fetch meanwhile
            painted, *others = (self._by(one, pixels) for one, _ in painters)
        if others:
            painted += np.float32(painters[1][1]) * (others[0] - painted)
        for number, frame in enumerate(frames):
            share = np.float32(seen(frame.pixels))
            if share < 1:
                painted[number] = share * painted[number] + (1 - share) * to_floats(frame.pixels)
        return painted

    def _by(self, stylizer: Stylizer, pixels: NDArray[Any]) -> FloatArray:
        """Frames (B, H, W, 3) in 0..1, painted."""
        import torch

        from stylecli.devices import upload

        device = stylizer.device
        if len(pixels) == 1 and device.type == "cpu":
            # As an array, which is enlarged faster there.
            return paint(stylizer, self._options, to_floats(pixels[0]))[None]
        # Sent as bytes: a quarter of what floats are.
        sent = upload(torch.from_numpy(pixels), device) if pixels.dtype == np.uint8 else pixels
        made = paint(stylizer, self._options, to_tensor(sent))  # (B, 3, H, W)
        return made.permute(0, 2, 3, 1).contiguous().cpu().numpy()


class LayeredFilmPainter(FilmPainter):
    """Paints each frame by several painters; their paintings lie one below the other, (B, L H, W, 3)."""

    def __init__(
        self, stylizer: Stylizer, spec: StyleSpec, read: Callable[[Path], Picture], options: PaintOptions
    ) -> None:
        """Of the layers of ``spec``. Raises UsageError for a style image that cannot be read."""
        self._stylizer = stylizer
        self._painters = [
            FilmPainter(stylizer, Timeline.constant(below), read, options) for _, below in spec.layers
        ]

    def __call__(self, frames: Sequence[Frame], seconds: Sequence[float]) -> FloatArray:
        return np.concatenate([paint(frames, seconds) for paint in self._painters], axis=1)


def film_painters(
    timelines: Sequence[Timeline],
    load: Callable[[], Stylizer],
    read: Callable[[Path], Picture],
    options: PaintOptions,
) -> Callable[[str], FilmPainter]:
    """Gives the painter of a style; the network is loaded once the first is asked for, and each is made once."""
    lines = {line.name: line for line in timelines}
    stylizer = cache(load)

    @cache
    def painter(style: str) -> FilmPainter:
        (_, spec), *_ = lines[style].keys
        if spec.layers:
            return LayeredFilmPainter(stylizer(), spec, read, options)
        return FilmPainter(stylizer(), lines[style], read, options)

    return painter


def seen(pixels: NDArray[Any]) -> float:
    """How much of a scene a frame (H, W, 3) shows, 0..1; less than 1 where it fades from or to black, white or grey.

    Networks paint by a picture's own statistics, stretched to the style's: without this, a black frame and all of a
    fade would get the same bright painting as the scene itself.
    """
    small = pixels[:: max(1, pixels.shape[0] // 64), :: max(1, pixels.shape[1] // 64)]
    grey = small.astype(np.float32).mean(-1) / (257 if pixels.dtype == np.uint16 else 1)
    dark, light = np.percentile(grey, (1, 99))
    return float(min(1.0, light / _DIM, (255 - dark) / _DIM, grey.std() / _EVEN))
