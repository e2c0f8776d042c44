"""Small real films, made by real encoders; and what is in a film, as a player would see it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec import Codec
from numpy.typing import NDArray

from stylecli.media.video.clip import Excerpt
from stylecli.media.video.colour import Colour, Converter
from stylecli.media.video.encoding import GOP_FRAMES, Encoding
from stylecli.media.video.reading import VideoSource
from stylecli.media.video.sink import FilmSink
from stylecli.media.video.source import open_source
from stylecli.run.film import FilmRun

PAL = Fraction(25)
NTSC = Fraction(30000, 1001)
LONG = 2 * GOP_FRAMES + 8
"""Frames that cannot all be painted when the first group is closed: painting may be in the second by then, and \
completes it."""
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


CUTS, FRAMES = (0, 96, 246), 310  # of scenes; the second begins with a group of frames, the third within one


def scenes(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Waves that drift, others in each scene; (H, W, 3)."""
    random = np.random.default_rng(sum(number >= cut for cut in CUTS))
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    across, down, mean = (random.uniform(*limits, 3) for limits in ((4, 20), (4, 20), (40, 200)))
    waves = np.sin(across * x[..., None] + down * y[..., None] + number * 0.05)
    return (mean + 50 * waves).clip(0, 255).astype(np.uint8)


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
    language: str = "fra"  # of the sound

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
        stream.metadata["language"] = self.language
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


def three_scenes(path: Path) -> Path:
    """A film of three scenes, with sound."""
    film = Film(frames=FRAMES, size=(32, 24), draw=scenes, channels="stereo", seconds_of_sound=12)
    return film.write(path)


@contextmanager
def stopped_after_a_group() -> Iterator[None]:
    """Films of at least ``LONG`` frames are interrupted as soon as a group of theirs is safe."""
    close = FilmRun._close_group

    def closed(run: FilmRun, *arguments) -> None:
        close(run, *arguments)
        run.stop.set()

    FilmRun._close_group = closed  # type: ignore[method-assign]
    try:
        yield
    finally:
        FilmRun._close_group = close  # type: ignore[method-assign]


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


def through(
    source: Path, target: Path, excerpt: Excerpt | None = None, encoding: Encoding | None = None
) -> list[str]:
    """Decode and encode with nothing painted, in groups of five; what was said on the way."""
    film = open_source(source, excerpt or Excerpt())
    assert isinstance(film, VideoSource)
    encoding = encoding or Encoding("h264", crf=6, preset="ultrafast")
    coding = encoding.holding(film.clip, target.suffix).plan(film.clip)
    folder = target.with_name(f"{target.name}.groups")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    covers = excerpt is None or excerpt.covers_all
    sink = FilmSink(target, coding, folder, source, film.begins, is_excerpt=not covers)
    sink.begin(0, 0)
    last = 0
    for number, frame in enumerate(film.frames()):
        top = 255 if frame.pixels.dtype == np.uint8 else 65535
        sink.add(frame, frame.pixels.astype(np.float32) / top)
        last = frame.duration
        if number % 5 == 4:
            sink.cut()
    sink.cut()
    return [*film.clip.notices, *coding.notices, *sink.finish(last), *film.warnings]


def with_sound(path: Path, codec: str | None, *, seconds: int = 1, begins: float = 0.0) -> Path:
    """A film with a white frame and a click in the middle of each second, its sound in any codec."""
    rate = {"nellymoser": 22050, "wmav2": 44100}.get(codec or "", 48000)
    layout = "mono" if codec in ("nellymoser", "adpcm_ima_wav") else "stereo"
    muxer = {".m2ts": "mpegts", ".ts": "mpegts"}.get(path.suffix)
    picture = {".wmv": "msmpeg4v3", ".mpg": "mpeg2video", ".flv": "flv", ".avi": "mpeg4"}.get(
        path.suffix, "mpeg4"
    )
    options = {"mpegts_copyts": "1"} if muxer else {}
    with av.open(str(path), "w", format=muxer, options=options) as output:
        stream = output.add_stream(picture, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 400_000
        stream.codec_context.gop_size = 12
        encoder = {"mp3": "libmp3lame", "opus": "libopus"}.get(codec or "", codec or "")
        sound = output.add_stream(encoder, rate=rate) if codec else None
        if sound is not None:
            sound.codec_context.layout = layout
            sound.codec_context.format = (Codec(encoder, "w").audio_formats or [])[0].name
            sound.codec_context.bit_rate = 128_000
            if codec == "opus":
                sound.codec_context.format = "s16"
        packets = []
        for number in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(
                np.full((48, 64, 3), 255 if number % 25 in (12, 13) else 40, np.uint8)
            )
            frame.pts, frame.time_base = number + round(begins * 25), Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if sound is not None:
            packets += _click(sound, rate, layout, seconds, begins)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            output.mux(packet)
    return path


def _click(sound: av.AudioStream, rate: int, layout: str, seconds: int, begins: float) -> list[av.Packet]:
    sound.codec_context.open()
    wave = np.zeros(rate * seconds, np.int16)
    for second in range(seconds):
        at = rate * second + rate * 12 // 25
        wave[at : at + rate // 25] = (20000 * np.sin(np.arange(rate // 25) * 0.4)).astype(np.int16)
    channels = av.AudioLayout(layout).nb_channels
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], "s16", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(begins * rate), Fraction(1, rate)
    context = sound.codec_context
    resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 1024)
    packets = []
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        packets += sound.encode(piece)
    return [*packets, *sound.encode(None)]


def clicks(path: Path) -> tuple[float, ...]:
    """Seconds at which a click begins."""
    found, quiet_since = [], -1.0
    for time, value in _loudness(path):
        if value > 0.1:
            if quiet_since < 0 or time - quiet_since > 0.2:
                found.append(time)
            quiet_since = time
    return tuple(found)


def heard(path: Path) -> float:
    """How many seconds of sound there are."""
    times = [time for time, _ in _loudness(path)]
    return times[-1] - times[0]


def _loudness(path: Path) -> list[tuple[float, float]]:
    """The loudest of each hundredth of a second, 0..1, counted from the first picture or sound."""
    found = []
    with av.open(str(path)) as film:
        begin = min(
            (one.start_time * (one.time_base or 0) for one in film.streams if one.start_time is not None),
            default=0,
        )
        resampler = av.AudioResampler("flt", "mono", 48000)
        heard = 0
        for frame in film.decode(audio=0):
            for piece in resampler.resample(frame):
                wave = np.abs(piece.to_ndarray()[0])
                for at in range(0, len(wave), 480):
                    since = heard / 48000 if piece.pts is None else float(piece.pts * piece.time_base - begin)
                    time = since + at / 48000
                    found.append((time, float(wave[at : at + 480].max())))
                heard += len(wave)
    return found
