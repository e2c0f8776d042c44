"""The film's other streams on their way into the result: copied bit for bit where the container takes them; sound
that it does not take is recoded, text subtitles are rewritten, and what cannot be carried is named."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from stylecli.media.video.opening import open_film
from stylecli.media.video.tags import describe, wants_quicktime_keys

if TYPE_CHECKING:
    _Packet = Packet[Any]

_RECODED = {"mp4": "aac", "mov": "aac", "matroska": "flac", "webm": "libopus"}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_OPUS_RATES = (48000,)
_BITS_FOR_EACH_CHANNEL = 96_000
_TEXT = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}  # subtitles that are written
_TEXTS = ("mov_text", "subrip", "ass", "ssa", "webvtt", "text")  # ... and read
_PAUSE = b"\0\0"  # between two subtitles of MP4, which the muxer makes itself


@dataclass
class Track:
    """One stream of the film. ``take`` gives packets for the output, in its ``twin``."""

    twin: Stream

    def take(self, packet: _Packet) -> Iterator[_Packet]:
        """What becomes of a packet of the film, its times already those of the result."""
        packet.stream = self.twin
        yield packet

    def finish(self) -> Iterator[_Packet]:
        """What is left at the end."""
        yield from ()

    @property
    def problems(self) -> str | None:
        return None


@dataclass
class Recoded(Track):
    """Sound in another codec."""

    source: AudioStream
    lost: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._due: Fraction | None = None

    def take(self, packet: _Packet) -> Iterator[_Packet]:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self.lost += 1
            return
        for frame in frames:
            yield from self._encoded(self._timed(frame, packet))

    def finish(self) -> Iterator[_Packet]:
        with suppress(av.FFmpegError, EOFError):
            for frame in self.source.codec_context.decode(None):
                yield from self._encoded(self._timed(frame, None))
        if self._resampler is not None:
            yield from self._encoded(None)
            assert isinstance(self.twin, AudioStream)
            yield from self._sent(self.twin.encode(None))

    def _timed(self, frame: Any, packet: _Packet | None) -> AudioFrame:
        """Of several frames in one packet only the first may have a time, or none (WMA)."""
        assert isinstance(frame, AudioFrame)
        base = Fraction(1, frame.sample_rate)
        if frame.pts is not None and frame.time_base:
            at = frame.pts * frame.time_base
        elif self._due is not None:
            at = self._due
        else:
            at = (packet.pts or 0) * packet.time_base if packet is not None else Fraction(0)
        frame.pts, frame.time_base = round(at / base), base
        self._due = at + frame.samples * base
        return frame

    def _encoded(self, frame: AudioFrame | None) -> Iterator[_Packet]:
        assert isinstance(self.twin, AudioStream)
        context = self.twin.codec_context
        if self._resampler is None:
            # Made late: only once the file's header is written the encoder says how long its frames are.
            self._resampler = AudioResampler(
                context.format, context.layout, context.sample_rate, frame_size=context.frame_size or None
            )
        for piece in self._resampler.resample(frame):
            yield from self._sent(self.twin.encode(piece))

    def _sent(self, packets: list[_Packet]) -> Iterator[_Packet]:
        for packet in packets:
            packet.stream = self.twin
            yield packet

    @property
    def problems(self) -> str | None:
        return f"{self.lost} packets could not be decoded" if self.lost else None


@dataclass
class Text(Track):
    """Subtitles in another text format, without their styles."""

    codec: str
    written: str

    def take(self, packet: _Packet) -> Iterator[_Packet]:
        text = _plain(bytes(packet), self.codec).encode()
        if text:
            data = len(text).to_bytes(2, "big") + text if self.written == "mov_text" else text
            twin: _Packet = Packet(data)
            twin.pts, twin.dts, twin.duration = packet.pts, packet.dts, packet.duration
            twin.time_base, twin.is_keyframe, twin.stream = packet.time_base, True, self.twin
            yield twin


def _plain(data: bytes, codec: str) -> str:
    """The words of a packet of subtitles."""
    if codec == "mov_text":
        length = int.from_bytes(data[:2], "big")
        return data[2 : 2 + length].decode("utf-8", "replace").strip()
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = text.split(",", 8)[-1].replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")
        return re.sub(r"\{[^}]*\}", "", text).strip()
    return re.sub(r"</?[^>]*>", "", text).replace("\r\n", "\n").strip()


def carried_tracks(
    film: InputContainer,
    output: OutputContainer,
    target: Path,
    path: Path,
    original: VideoStream,
    *,
    copied: bool = True,
) -> tuple[dict[int, Track], list[_Packet], list[str]]:
    """Tracks by the film's index, packets that stand at the beginning (cover pictures), and lines about what is
    recoded or left out. Without ``copied`` all sound is recoded."""
    kind = output.format.name
    tracks: dict[int, Track] = {}
    covers: list[_Packet] = []
    said: list[str] = []
    for stream in film.streams:
        if stream.index == original.index:
            continue
        named = f"{stream.type} stream {stream.index} ({_codec(stream)})"
        if stream.type == "attachment" and kind == "matroska":
            with suppress(av.FFmpegError, ValueError, AttributeError):
                name = stream.metadata.get("filename", "attachment")
                mime = stream.metadata.get("mimetype") or mimetypes.guess_type(name)[0]
                output.add_attachment(name, mime or "application/octet-stream", stream.data)  # type: ignore[attr-defined]
                continue
        if isinstance(stream, VideoStream) and stream.disposition & Disposition.attached_pic:
            cover = _cover(path, stream.index)
            if cover is None or not _carry_cover(stream, cover, output, covers):
                said.append(
                    f"the cover picture is left out: {target.suffix} cannot hold it ({_codec(stream)})"
                )
            continue
        if stream.type == "video":
            said.append(f"{named} is left out: only the first is painted")
            continue
        if stream.type in ("audio", "subtitle"):
            track, text = _track(stream, output, kind, copied)
            if text is not None:
                said.append(f"{named} {text.format(suffix=target.suffix)}")
            if track is not None:
                describe(stream.metadata, track.twin, kind)
                track.twin.disposition = stream.disposition
                tracks[stream.index] = track
            continue
        if stream.type == "data" and "timecode" in stream.metadata:
            continue  # written anew from the picture's own tag
        hint = ", .mkv can (-o)" if stream.type == "attachment" else ""
        said.append(f"{named} is left out: {target.suffix} cannot hold it{hint}")
    return tracks, covers, said


def _track(
    stream: Stream, output: OutputContainer, kind: str, copied: bool
) -> tuple[Track | None, str | None]:
    """How a stream of sound or subtitles goes into ``output``, and what is to be said of it."""
    if (copied or stream.type != "audio") and _takes(kind, stream):
        twin = output.add_stream_from_template(stream)
        if isinstance(twin, AudioStream) and isinstance(stream, AudioStream):
            twin.codec_context.layout = _layout(stream.codec_context)  # MP4 takes no nameless layout
        return Track(twin), None
    if isinstance(stream, AudioStream) and stream.codec_context is not None:
        codec = _RECODED[kind]
        twin = _sound(stream, output, codec)
        return Recoded(twin, stream), f"is recoded as {codec.removeprefix('lib')}: {{suffix}} cannot hold it"
    if stream.type == "subtitle" and _codec(stream) in _TEXTS and kind in _TEXT:
        written = _TEXT[kind]
        # FFmpeg takes rewritten subtitles as they are, without an encoder.
        plain = Text(output.add_mux_stream(written), _codec(stream), written)
        return plain, f"becomes {written}, without styles: {{suffix}} cannot hold it"
    return None, "is left out: {suffix} cannot hold it"


def _takes(kind: str, stream: Stream) -> bool:
    """Whether a container takes a stream as it is, found by trying: FFmpeg's lists are not the whole truth."""
    try:
        trial = av.open(BytesIO(), "w", format=kind)
        trial.add_stream_from_template(stream)
        trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    with suppress(av.FFmpegError, ValueError):
        trial.close()
    return True


def _sound(stream: AudioStream, output: OutputContainer, codec: str) -> AudioStream:
    source = stream.codec_context
    assert isinstance(source, AudioCodecContext)
    rates = {"aac": _AAC_RATES, "libopus": _OPUS_RATES}.get(codec)
    rate = source.sample_rate
    if rates is not None and rate not in rates:
        rate = min((one for one in rates if one >= rate), default=rates[0])
    twin = output.add_stream(codec, rate=rate)
    assert isinstance(twin, AudioStream)
    context = twin.codec_context
    context.layout = _layout(source)
    deep = source.format is not None and source.format.name.startswith("s32")
    context.format = {"aac": "fltp", "libopus": "s16", "flac": "s32" if deep else "s16"}[codec]
    if codec != "flac":
        context.bit_rate = _BITS_FOR_EACH_CHANNEL * context.layout.nb_channels
    return twin


def _layout(source: AudioCodecContext) -> str:
    """The usual one where the source only says how many channels there are."""
    if "channels" not in source.layout.name:
        return source.layout.name
    usual = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return usual.get(source.layout.nb_channels, "stereo")


def _cover(path: Path, index: int) -> bytes | None:
    with suppress(av.FFmpegError, OSError, StopIteration), open_film(path) as container:
        return bytes(next(container.demux(container.streams[index]))) or None
    return None


def _carry_cover(stream: VideoStream, cover: bytes, output: OutputContainer, covers: list[_Packet]) -> bool:
    """Whether the container takes the picture. In Matroska it is an attachment, elsewhere a stream of one packet."""
    kind = {"mjpeg": "jpg", "png": "png", "bmp": "bmp"}.get(_codec(stream))
    if kind is None:
        return False
    if output.format.name == "matroska":
        name = stream.metadata.get("filename", f"cover.{kind}")
        output.add_attachment(name, mimetypes.guess_type(name)[0] or f"image/{kind}", cover)
        return True
    if output.format.name != "mp4" or wants_quicktime_keys(
        output.metadata
    ):  # FFmpeg writes them nowhere else
        return False
    twin = output.add_stream_from_template(stream, opaque=True)
    twin.disposition = Disposition.attached_pic
    packet: _Packet = Packet(cover)
    packet.pts = packet.dts = 0
    packet.time_base, packet.is_keyframe, packet.stream = Fraction(1, 1000), True, twin
    covers.append(packet)
    return True


def _codec(stream: Stream) -> str:
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    said = stream.metadata.get("handler_name") or stream.metadata.get("mimetype")
    return " ".join(said.split()) if said else "of unknown kind"


def is_pause(packet: _Packet) -> bool:
    """Whether this is one of the empty subtitles that MP4 has between two others."""
    return packet.size == len(_PAUSE) and bytes(packet) == _PAUSE
