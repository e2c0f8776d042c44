"""Read a video file with PyAV: its description, then its frames with their own timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from stylecli.errors import InputError
from stylecli.media.transparency import continued
from stylecli.media.video.clip import Clip, Excerpt, Frame, fit
from stylecli.media.video.colour import Colour, Converter
from stylecli.media.video.decoding import decoded, has_hidden_alpha
from stylecli.media.video.hdr import SDR, ToneMapper, peak_of
from stylecli.media.video.opening import open_film, picture_stream
from stylecli.media.video.packets import allows_jumps
from stylecli.media.video.timing import Shown, at_rate, between

_MICROSECONDS = 1_000_000
_MARGIN_S = 2  # decoded before an excerpt begins, so that broken references have passed


@dataclass
class VideoSource:
    """A video file as a source of frames. ``clip`` is settled at once; ``warnings`` grow while frames are read.

    Raises InputError in one line where the file cannot be painted.
    """

    path: Path
    excerpt: Excerpt
    clip: Clip = field(init=False)
    begins: Fraction = field(init=False, default=Fraction(0))
    """Seconds, in the input's own time, at which the result begins."""
    warnings: list[str] = field(init=False, default_factory=list)
    known: tuple[int, int] | None = field(init=False, default=None)
    """The number of a frame, and when it is shown (its ``pts``); for a source that ``can_be_entered``."""

    def __post_init__(self) -> None:
        with open_film(self.path) as container:
            stream = picture_stream(container, self.path)
            first = self._first_frame(container, stream)
            self._turn = round(first.rotation) % 360
            colour = Colour(first.color_range, first.colorspace, first.color_primaries, first.color_trc)
            self._tone_mapper = None
            if colour.is_hdr:
                if not self.excerpt.hdr:
                    raise InputError(
                        f"{self.path}: HDR video ({colour.transfer_name}), left alone (--hdr refuse)"
                    )
                self._tone_mapper = ToneMapper(colour, peak_of(first))
            self._coded_colour = colour
            self._describe(container, stream, first, colour)

    def _first_frame(self, container: InputContainer, stream: VideoStream) -> av.VideoFrame:
        for frame in decoded(container, stream, []):
            if frame.width * frame.height > self.excerpt.max_pixels:
                size = f"{frame.width}x{frame.height}"
                raise InputError(f"{self.path}: {size} pixels are more than --max-pixels allows")
            return frame
        raise InputError(f"{self.path}: not one frame can be decoded")

    def _describe(
        self, container: InputContainer, stream: VideoStream, first: av.VideoFrame, colour: Colour
    ) -> None:
        excerpt = self.excerpt
        stored = fit(first.width, first.height, excerpt.max_size, multiple=2)  # what 4:2:0 can hold
        self._stored = stored
        self._input_base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
        self._rate = Fraction(rate)
        seconds, frames = self._extent(container, stream, excerpt.fps or rate)
        upright = stored[::-1] if self._turn in (90, 270) else stored
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        depth = max(component.bits for component in first.format.components)
        self._alpha = any(component.is_alpha for component in first.format.components)
        notices = []
        self._known_interlaced = first.interlaced_frame
        if self._known_interlaced:
            notices.append("interlaced: deinterlaced, one frame for every two fields")
        if self._tone_mapper is not None:
            notices.append(
                f"HDR ({colour.transfer_name}) becomes SDR: tone-mapped as in ITU-R BT.2390 (--hdr refuse leaves such "
                "films alone)"
            )
        self._first_tick = self._film_begins(container, stream)
        self.begins = self._first_tick * self._input_base
        # --start and --end are counted from the first picture: sound often begins a part of a frame before it.
        self._picture_late = max(0, (stream.start_time or 0) - self._first_tick)
        if excerpt.start is not None:
            self.begins += (self._picture_late + _ticks(excerpt.start, self._input_base)) * self._input_base
        self.clip = Clip(
            self.path,
            *upright,
            time_base=self._input_base if excerpt.fps is None else 1 / excerpt.fps,
            rate=Fraction(excerpt.fps or rate),
            frames=frames,
            seconds=seconds,
            colour=colour if self._tone_mapper is None else SDR,
            aspect=1 / aspect if self._turn in (90, 270) else aspect,
            deep=depth > 8,
            alpha=self._alpha or has_hidden_alpha(stream),
            sound=len(container.streams.audio),
            notices=tuple(notices),
        )

    def _film_begins(self, container: InputContainer, stream: VideoStream) -> int:
        """The tick at which picture or sound begins, whichever is first; 0 where that is before 0."""
        starts = [
            one.start_time * one.time_base
            for one in (stream, *container.streams.audio)
            if one.start_time is not None and one.time_base is not None
        ]
        return max(0, int(min(starts, default=Fraction(0)) // self._input_base))

    def _extent(
        self, container: InputContainer, stream: VideoStream, rate: Fraction
    ) -> tuple[float | None, int | None]:
        """Seconds and frames to expect."""
        excerpt = self.excerpt
        seconds = None
        if stream.duration:
            seconds = float(stream.duration * self._input_base)
        elif container.duration:
            seconds = container.duration / _MICROSECONDS
        whole = seconds
        if seconds is not None:
            seconds = max(0.0, min(seconds, excerpt.end or seconds) - (excerpt.start or 0))
        known = whole is not None and not allows_jumps(container)  # where times may jump it is a guess
        if excerpt.start is not None and known and whole is not None and excerpt.start >= whole:
            raise InputError(f"{self.path}: it ends at {whole:.1f} s, before --start")
        counted = stream.frames if excerpt.is_whole or excerpt.max_frames else 0
        frames = counted or (None if seconds is None else max(1, round(seconds * rate)))
        if excerpt.max_frames is not None:
            frames = min(frames or excerpt.max_frames, excerpt.max_frames)
            seconds = float(frames / rate)
        return seconds, frames

    @property
    def can_be_entered(self) -> bool:
        """Whether what comes before a frame matters to nothing behind it; known once all frames were read."""
        return self.excerpt.is_whole and not self.warnings and not self._known_interlaced

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames, without the first ``skip``: those are decoded all the same, so that what follows is what it
        is in a run from the beginning; but where ``known`` is one of them or the next, decoding begins shortly before
        that one."""
        converter = Converter(self._coded_colour, deep=self.clip.deep or self._tone_mapper is not None)
        limit = self.excerpt.max_frames
        begun, timed = 0, None
        if self.known is not None and self.known[0] <= skip:
            begun, timed = self.known[0], self._entered(self.known[1])
        if timed is None:
            begun, timed = 0, self._timed()
        for number, shown in enumerate(timed, begun):
            if limit is not None and number >= limit:
                return
            if number < skip:
                continue
            pixels = converter.to_rgb(shown.frame, *self._stored)
            if self._tone_mapper is not None:
                pixels = self._tone_mapper.to_sdr(pixels)
                pixels = pixels if self.clip.deep else (pixels >> 8).astype(np.uint8)
            alpha = converter.to_alpha(shown.frame, *self._stored) if self.clip.alpha else None
            pixels = continued(pixels, alpha)
            yield Frame(
                shown.pts,
                shown.duration,
                self._upright(pixels),
                None if alpha is None else self._upright(alpha),
            )

    def _upright(self, pixels: Any) -> Any:
        turns = {90: 1, 180: 2, 270: 3}.get(self._turn, 0)
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels

    def _entered(self, at: int) -> Iterator[Shown] | None:
        """What is shown from tick ``at`` on; None where the film cannot be searched, or that leads elsewhere."""
        begin = self.begins + at * self._input_base - _MARGIN_S
        if begin <= self.begins:
            return None
        shown = self._timed(begin)
        first = next((one for one in shown if one.pts >= at), None)
        return chain([first], shown) if first is not None and first.pts == at else None

    def _timed(self, enter: Fraction | None = None) -> Iterator[Shown]:
        """What is shown, with ticks of ``clip.time_base`` from the beginning of the result, strictly increasing; from a
        little before ``enter`` (seconds of the input) on, or all of it."""
        end = None if self.excerpt.end is None else _ticks(self.excerpt.end, self._input_base)
        start = _ticks(self.excerpt.start or 0, self._input_base)
        late = 0 if self.excerpt.start is not None else self._picture_late
        high = None if end is None else end - start + late
        shown = self._deinterlaced(self._within(high, enter))
        if self.excerpt.fps is not None:
            shown = at_rate(shown, self._input_base * self.excerpt.fps)
        last = None
        for one in shown:
            if last is not None and one.pts <= last:
                one = replace(one, pts=last + 1)  # broken timestamps: the order of decoding stands
            last = one.pts
            yield one

    def _within(self, high: int | None, enter: Fraction | None) -> Iterator[Shown]:
        """Decoded frames of the excerpt; ticks of the input, counted from its beginning."""
        if self.excerpt.start is None:
            yield from between(self._decoded(enter), None, high)
            return
        for begin in (max(Fraction(0), self.begins - _MARGIN_S), None):
            shown = between(self._decoded(begin), 0, high)
            first = next(shown, None)
            if first is not None and (first.pts <= 0 or begin is None):
                yield first
                yield from shown
                return
            # An index that leads past the place, or nowhere: from the film's beginning, then.

    def _decoded(self, begin: Fraction | None) -> Iterator[Shown]:
        """Frames from ``begin`` (seconds of the input) or a little before on, each with a timestamp."""
        origin = self.begins / self._input_base
        step = max(1, round(1 / (self._rate * self._input_base)))
        said: list[str] = []
        with open_film(self.path) as container:
            stream = picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            if begin is not None and not allows_jumps(container):
                with suppress(av.FFmpegError):  # not every file can be searched: then from its beginning
                    container.seek(int(begin / self._input_base), stream=stream)
            expected = self._first_tick
            for frame in decoded(container, stream, said, begin):
                pts = frame.pts if frame.pts is not None else frame.dts
                if pts is None:
                    pts = expected
                expected = pts + (frame.duration or step)
                yield Shown(pts - int(origin), int(frame.duration or 0), frame)
            self.warnings += [text for text in said if text not in self.warnings]

    def _deinterlaced(self, frames: Iterator[Shown]) -> Iterator[Shown]:
        """Progressive frames as they are; from the first interlaced one on through a filter that leaves such ones."""
        graph = None
        for shown in frames:
            frame = shown.frame
            kind = (frame.width, frame.height, frame.format.name)
            if graph is None and not frame.interlaced_frame:
                yield shown
                continue
            if graph is None or graph[0] != kind:
                if graph is not None:
                    graph[1].vpush(None)
                    yield from self._pulled(graph[1])
                graph = kind, self._deinterlacer(frame)
                if not self._known_interlaced:
                    self.warnings.append("interlaced in parts: those are deinterlaced")
                    self._known_interlaced = True
            frame.pts, frame.time_base, frame.duration = shown.pts, self._input_base, shown.duration
            graph[1].vpush(frame)
            yield from self._pulled(graph[1])
        if graph is not None:
            graph[1].vpush(None)
            yield from self._pulled(graph[1])

    def _deinterlacer(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        buffer = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._input_base
        )
        filter = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(buffer, filter, graph.add("buffersink")).configure()
        return graph

    def _pulled(self, graph: av.filter.Graph) -> Iterator[Shown]:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            ratio = (frame.time_base or self._input_base) / self._input_base
            yield Shown(round((frame.pts or 0) * ratio), round((frame.duration or 0) * ratio), frame)


def _ticks(seconds: float, base: Fraction) -> int:
    return round(Fraction(seconds) / base)
