"""Read a video file with PyAV: its description, then its frames with their own timestamps.

Only local files are opened: a playlist dressed up as a film reaches neither the network nor another file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stylecli.errors import InputError
from stylecli.media.video.clip import Clip, Excerpt, Frame, fit
from stylecli.media.video.colour import Colour, Converter

_MICROSECONDS = 1_000_000
_MARGIN_S = 2.0  # decoded before an excerpt begins, so that filters and broken references have passed
_SHORT_BY_S = 0.5  # a film that ends earlier than this before its promised end is cut off
_PICTURES = ("image2", "_pipe")  # demuxers of single pictures


def open_film(path: Path) -> InputContainer:
    """Open a video file. Raises InputError in one line."""
    try:
        return av.open(str(path), container_options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        if not os.access(path, os.R_OK):
            raise InputError(f"{path}: no permission to read it") from None
        with suppress(OSError):
            if path.stat().st_size == 0:
                raise InputError(f"{path}: the file is empty") from None
        known = isinstance(error, av.InvalidDataError | PermissionError)
        why = "" if known else f" ({getattr(error, 'strerror', None) or error})"
        raise InputError(f"{path}: not a video, or cut off before its index{why}") from None


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to paint: the first that is no cover picture. Raises InputError."""
    if any(container.format.name.endswith(name) for name in _PICTURES):
        raise InputError(f"{path}: a picture, not a film: stylize image paints it")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path}: there is no decoder for its video")
            return stream
    raise InputError(f"{path}: there is no video in it")


@dataclass
class VideoSource:
    """A video file as a source of frames. ``clip`` is settled at once; ``warnings`` grow while frames are read.

    Raises InputError in one line where the file cannot be painted.
    """

    path: Path
    excerpt: Excerpt
    clip: Clip = field(init=False)
    origin: int = field(init=False, default=0)
    """The tick of the input at which the result begins; 0 unless an excerpt was asked for."""
    warnings: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        with open_film(self.path) as container:
            stream = picture_stream(container, self.path)
            first = self._first_frame(container, stream)
            self._interlaced = first.interlaced_frame
            self._turn = round(first.rotation) % 360
            colour = Colour(first.color_range, first.colorspace, first.color_primaries, first.color_trc)
            if colour.is_hdr:
                raise InputError(
                    f"{self.path}: HDR video ({colour.transfer_name}) is not painted yet: convert it to SDR first"
                )
            self._describe(container, stream, first, colour)

    def _first_frame(self, container: InputContainer, stream: VideoStream) -> av.VideoFrame:
        for frame in _decoded(container, stream, []):
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
        seconds, frames = self._extent(container, stream, excerpt.fps or rate)
        upright = stored[::-1] if self._turn in (90, 270) else stored
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        depth = max(component.bits for component in first.format.components)
        notices = []
        if self._interlaced:
            notices.append("interlaced: deinterlaced, one frame for every two fields")
        if any(component.is_alpha for component in first.format.components):
            notices.append("its transparency is left out")
        self._first_pts = stream.start_time or 0
        self.clip = Clip(
            self.path,
            *upright,
            time_base=self._input_base if excerpt.fps is None else 1 / excerpt.fps,
            rate=Fraction(excerpt.fps or rate),
            frames=frames,
            seconds=seconds,
            colour=colour,
            aspect=1 / aspect if self._turn in (90, 270) else aspect,
            deep=depth > 8,
            notices=tuple(notices),
        )

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
        if excerpt.start is not None and whole is not None and excerpt.start >= whole:
            raise InputError(f"{self.path}: it ends at {whole:.1f} s, before --start")
        counted = stream.frames if excerpt.is_whole or excerpt.max_frames else 0
        frames = counted or (None if seconds is None else max(1, round(seconds * rate)))
        if excerpt.max_frames is not None:
            frames = min(frames or excerpt.max_frames, excerpt.max_frames)
            seconds = float(frames / rate)
        return seconds, frames

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames, without the first ``skip``: those are decoded all the same, so that what follows is what it
        is in a run from the beginning."""
        converter = Converter(self.clip.colour, deep=self.clip.deep)
        turns = {90: 1, 180: 2, 270: 3}.get(self._turn, 0)
        limit = self.excerpt.max_frames
        for number, (pts, frame) in enumerate(self._timed()):
            if limit is not None and number >= limit:
                return
            if number < skip:
                continue
            pixels = converter.to_rgb(frame, *self._stored)
            if turns:
                pixels = np.ascontiguousarray(np.rot90(pixels, turns))
            yield Frame(pts, int(frame.duration or 0), pixels)

    def _timed(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames of the excerpt with ticks of ``clip.time_base``, strictly increasing, from 0 in an excerpt."""
        start, end = self.excerpt.start, self.excerpt.end
        base = self._input_base
        low = None if start is None else self._first_pts + _ticks(start, base)
        high = None if end is None else self._first_pts + _ticks(end, base)
        if not self.excerpt.is_whole:
            self.origin = self._first_pts if low is None else low
        filtered = self._filter(self._numbered(low, high))
        last = None
        for frame in filtered:
            pts = frame.pts or 0
            if last is not None and pts <= last:
                pts = last + 1  # broken timestamps: the order of decoding stands
            last = pts
            yield pts, frame

    def _numbered(self, low: int | None, high: int | None) -> Iterator[av.VideoFrame]:
        """Decoded frames between two ticks, each with a timestamp, counted from ``origin``."""
        with open_film(self.path) as container:
            stream = picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            step = max(1, round(1 / (self.clip.rate * self._input_base)))
            if low is not None and low > self._first_pts:
                margin = _ticks(_MARGIN_S, self._input_base)
                with suppress(av.FFmpegError):  # not every file can be searched: then from its beginning
                    container.seek(max(self._first_pts, low - margin), stream=stream)
            expected = self._first_pts
            for frame in _decoded(container, stream, self.warnings):
                pts = frame.pts if frame.pts is not None else frame.dts
                if pts is None:
                    pts = expected
                expected = pts + (frame.duration or step)
                if low is not None and pts < low:
                    continue
                if high is not None and pts >= high:
                    return
                frame.pts, frame.time_base = pts - self.origin, self._input_base
                yield frame

    def _filter(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Deinterlaced and at another rate, where that is needed."""
        if not self._interlaced and self.excerpt.fps is None:
            yield from frames
            return
        graph = None
        for frame in frames:
            if graph is None:
                graph = self._graph(frame)
            graph.vpush(frame)
            yield from self._pulled(graph)
        if graph is not None:
            graph.vpush(None)
            yield from self._pulled(graph)

    def _graph(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        chain = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=self._input_base
            )
        ]
        if self._interlaced:
            chain.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
        if self.excerpt.fps is not None:
            chain.append(graph.add("fps", f"fps={self.excerpt.fps}"))
        chain.append(graph.add("buffersink"))
        graph.link_nodes(*chain).configure()
        return graph

    def _pulled(self, graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            ratio = (frame.time_base or self.clip.time_base) / self.clip.time_base
            frame.pts = round((frame.pts or 0) * ratio)
            yield frame


def _decoded(container: InputContainer, stream: VideoStream, warnings: list[str]) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded; what cannot is counted, and said in ``warnings`` at the end."""
    packets = lost = 0
    end = 0.0
    packet_source = container.demux(stream)
    ended_early = False
    while True:
        try:
            packet = next(packet_source)
        except StopIteration:
            break
        except (av.FFmpegError, OSError):
            ended_early = True
            break
        packets += packet.size > 0
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            lost += 1
            continue
        for frame in decoded:
            if frame.is_corrupt:
                lost += 1
            else:
                end = max(end, frame.time or 0.0)
                yield frame
    if lost:
        warnings.append(f"damaged: about {lost} frames could not be decoded, the rest is painted")
    if ended_early or packets < stream.frames:
        of = f" of {stream.frames}" if stream.frames else ""
        warnings.append(f"cut off: {packets}{of} frames are there, these are painted")
    elif not stream.frames and end < _promised_end(stream) - _SHORT_BY_S:
        warnings.append(
            f"cut off: it ends at {end:.1f} of {_promised_end(stream):.1f} s; what is there is painted"
        )


def _promised_end(stream: VideoStream) -> float:
    """Seconds that a Matroska file says its picture lasts; 0 where it says nothing."""
    tags = {key.upper(): value for key, value in stream.metadata.items()}
    try:
        hours, minutes, seconds = tags["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (KeyError, ValueError):
        return 0.0


def _ticks(seconds: float, base: Fraction) -> int:
    return round(Fraction(seconds) / base)
