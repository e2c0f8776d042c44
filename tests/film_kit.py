"""Small real films, made by real encoders; and what is in a film, as a player would see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stylecli.media.video.clip import Excerpt
from stylecli.media.video.colour import Colour, Converter
from stylecli.media.video.reading import VideoSource

PAL = Fraction(25)
NTSC = Fraction(30000, 1001)
Draw = Callable[[int, int, int], NDArray[np.uint8]]


def moving(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Soft waves that stand still, and a square that moves two pixels to the right with every frame; (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    picture = 120 + 60 * np.stack([np.sin(9 * x + k + 4 * y * k) for k in range(3)], -1)
    side, left = height // 3, (2 * number) % max(1, width - height // 3)
    picture[side : 2 * side, left : left + side] = (230, 60, 30)
    return picture.astype(np.uint8)


def ramp(_: int, width: int, height: int) -> NDArray[np.uint8]:
    """Grey from black on the left to white on the right; (H, W, 3)."""
    line = np.linspace(0, 255, width).round().astype(np.uint8)
    return np.repeat(np.tile(line, (height, 1))[..., None], 3, -1)


@dataclass
class Film:
    """How to make a film; ``write`` makes it."""

    frames: int = 12
    size: tuple[int, int] = (64, 48)
    rate: Fraction = PAL
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    draw: Draw = moving
    ticks: Sequence[int] | None = None  # of 1/12800 s; None: even
    channels: str | None = None  # layout of the sound
    seconds_of_sound: float = 1.0
    subtitle: tuple[str, bytes] | None = None  # codec and what it says, with a font in Matroska
    rotation: int = 0
    colour: tuple[int, int, int, int] = (1, 1, 1, 1)  # range, matrix, primaries, transfer
    options: dict[str, str] = field(default_factory=dict)
    group: int = 12
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: bool = False

    def write(self, path: Path, *, faststart: bool = False) -> Path:
        width, height = self.size
        with av.open(str(path), "w", options={"movflags": "+faststart"} if faststart else {}) as output:
            stream = output.add_stream(self.codec, rate=self.rate, options=self.options)
            stream.width, stream.height, stream.pix_fmt = width, height, self.pix_fmt
            context = stream.codec_context
            context.gop_size = self.group
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = self.colour
            if self.ticks is not None:
                context.time_base = Fraction(1, 12800)
            if self.rotation:
                stream.set_display_rotation(self.rotation)
            stream.metadata["language"] = "deu"
            sound = self._sound(output)
            if self.subtitle is not None:
                codec, text = self.subtitle
                said = output.add_mux_stream(codec)
                if path.suffix == ".mkv":
                    output.add_attachment("font.ttf", "application/x-truetype-font", b"no real font")
            output.metadata.update(self.metadata)
            if self.chapters:
                base = Fraction(1, 1000)
                output.set_chapters(
                    [{"id": 1, "start": 0, "end": 200, "time_base": base, "metadata": {"title": "One"}}]
                )
            for number in range(self.frames):
                frame = self._frame(number)
                if self.ticks is not None:
                    frame.pts, frame.time_base = self.ticks[number], Fraction(1, 12800)
                else:
                    frame.pts, frame.time_base = number, 1 / self.rate
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
            if self.subtitle is not None:
                packet = av.Packet(text)
                packet.pts, packet.dts, packet.duration, packet.time_base = 40, 40, 200, Fraction(1, 1000)
                packet.stream = said
                output.mux(packet)
            if sound is not None:
                self._play(output, sound)
        return path

    def _frame(self, number: int) -> av.VideoFrame:
        pixels = self.draw(number, *self.size)
        if "10" in self.pix_fmt:
            pixels = pixels.astype(np.uint16) * 257
        frame = Converter(Colour(*self.colour), deep=False).from_rgb(pixels, self.pix_fmt)
        return frame

    def _sound(self, output: av.container.OutputContainer) -> av.AudioStream | None:
        if self.channels is None:
            return None
        stream = output.add_stream("aac", rate=48000)
        stream.codec_context.layout = self.channels
        stream.metadata["language"] = "fra"
        return stream

    def _play(self, output: av.container.OutputContainer, stream: av.AudioStream) -> None:
        assert self.channels is not None
        count = int(48000 * self.seconds_of_sound)
        layout = av.AudioLayout(self.channels)
        tones = np.stack(
            [np.sin(np.arange(count) * 0.03 * (1 + channel)) * 0.3 for channel in range(layout.nb_channels)]
        ).astype(np.float32)
        for begin in range(0, count, 1024):
            piece = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(tones[:, begin : begin + 1024]), "fltp", self.channels
            )
            piece.sample_rate, piece.pts, piece.time_base = 48000, begin, Fraction(1, 48000)
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))


@dataclass
class Seen:
    """A film as a player sees it. Times in seconds, exactly."""

    times: list[Fraction]
    size: tuple[int, int]
    pix_fmt: str
    colour: tuple[int, int, int, int]
    aspect: Fraction | None
    rotation: int
    language: str | None
    metadata: dict[str, str]
    chapters: list[str]
    packets: list[list[tuple[Fraction, bytes]]]  # of every other stream
    pictures: list[NDArray[np.uint8]]
    duration: float
    attachments: list[str]


def look(path: Path) -> Seen:
    """Decode all of a film."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        first, context = frames[0], stream.codec_context
        others = [one.index for one in container.streams if one.type in ("audio", "subtitle")]
        seen = Seen(
            [frame.pts * frame.time_base for frame in frames],
            (first.width, first.height),
            context.pix_fmt or "",
            (context.color_range, context.colorspace, context.color_primaries, context.color_trc),
            stream.sample_aspect_ratio,
            first.rotation,
            stream.language,
            dict(container.metadata),
            [chapter["metadata"].get("title", "") for chapter in container.chapters()],
            [],
            [_seen(frame) for frame in frames],
            (container.duration or 0) / 1e6,
            [one.metadata.get("filename", "") for one in container.streams if one.type == "attachment"],
        )
    for index in others:
        with av.open(str(path)) as container:
            packets = [packet for packet in container.demux(container.streams[index]) if packet.size]
            seen.packets.append([(packet.pts * packet.time_base, bytes(packet)) for packet in packets])
    return seen


def _seen(frame: av.VideoFrame) -> NDArray[np.uint8]:
    colour = Colour(frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
    return Converter(colour, deep=False).to_rgb(frame, frame.width, frame.height)


def grey(path: Path) -> NDArray[np.float64]:
    """The first frame's mean brightness of every column by the stream's own range and matrix, 0..255."""
    frame = next(VideoSource(path, Excerpt()).frames())
    top = 255 if frame.pixels.dtype == np.uint8 else 65535
    return frame.pixels.astype(np.float64).mean((0, 2)) * 255 / top
