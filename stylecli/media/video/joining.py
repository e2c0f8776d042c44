"""Segments and the input's other streams into one file: nothing is encoded again, sound and subtitles bit for bit.

Times of decoding are made anew: taken in the order of display, each frame is decoded as many frames earlier as the
encoders reorder at most. That is what one encoder for the whole film would have given.
"""

from __future__ import annotations

import heapq
import mimetypes
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from stylecli import __version__
from stylecli.errors import InputError
from stylecli.files.atomic import CheckedFile, atomic_file
from stylecli.media.video.encoding import Coding
from stylecli.media.video.reading import open_film, picture_stream
from stylecli.media.video.segments import read_index, read_segment

if TYPE_CHECKING:
    _Packet = Packet[Any]

_T = TypeVar("_T")

MAKER = f"stylecli {__version__}"
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_COPIED = ("audio", "subtitle")
_NO_TEXT = b"\0\0"
_LATER = 1e9  # seconds: packets without a time go last


def join(
    segments: Sequence[Path],
    coding: Coding,
    target: Path,
    *,
    last_duration: int,
    source: Path | None = None,
    origin: int = 0,
    trim: bool = False,
) -> list[str]:
    """Write ``target``, whole or not at all.

    Args:
        segments: of whole groups encoded by ``coding``, in order.
        last_duration: how long the last frame is shown, in ticks of the clip; 0 where unknown.
        source: the film whose sound, subtitles, chapters and metadata are taken over; None where there are none.
        origin: the source's tick at which the result begins.
        trim: whether sound and subtitles are cut where the picture begins and ends, as in an excerpt.

    Returns:
        Warnings about what the container cannot hold.

    Raises:
        InputError: the target cannot be written.
    """
    with atomic_file(target) as file, ExitStack() as stack:
        film = None if source is None else stack.enter_context(open_film(source))
        kind = _FORMATS[target.suffix.lower()]
        try:
            with av.open(file, "w", format=kind, options=_options(coding, target)) as output:
                warnings = _mux(output, film, segments, coding, last_duration, origin, trim, target, file)
        except av.FFmpegError as error:
            file.check()
            raise InputError(f"{target}: cannot be written: {error.strerror}") from error
        file.check()
        return warnings


def _options(coding: Coding, target: Path) -> dict[str, str]:
    if target.suffix.lower() == ".mkv":
        return {}
    scale = str(coding.clip.time_base.denominator)
    # The film's own ticks, also for the place where it begins; the index in front, so that it plays while it loads.
    return {"video_track_timescale": scale, "movie_timescale": scale, "movflags": "+faststart"}


def _mux(
    output: OutputContainer,
    film: InputContainer | None,
    segments: Sequence[Path],
    coding: Coding,
    last_duration: int,
    origin: int,
    trim: bool,
    target: Path,
    disk: CheckedFile,
) -> list[str]:
    painted = output.add_stream(coding.encoder, rate=coding.clip.rate)
    assert isinstance(painted, VideoStream)
    coding.configure(painted.codec_context)
    painted.time_base = coding.clip.time_base
    painted.metadata["encoder"] = f"{MAKER} {coding.encoder}"
    pictures = _pictures(segments, painted, coding, last_duration)
    if film is None:
        for packet in pictures:
            output.mux_one(packet)
            disk.check()
        return []
    original = picture_stream(film, target)
    begins = float(origin * (original.time_base or 0))
    copied, warnings = _copied_streams(film, output, target)
    _carry_metadata(film, output, original, painted)
    if not trim and film.chapters():
        output.set_chapters(film.chapters())
    end = begins + float((_last_tick(segments) + last_duration) * coding.clip.time_base)
    others = _others(film, copied, begins, end if trim else None)
    for _, _, packet in heapq.merge(_keyed(pictures, 0), _keyed(others, 1)):
        output.mux_one(packet)
        disk.check()
    return warnings


def _pictures(
    segments: Sequence[Path], stream: VideoStream, coding: Coding, last_duration: int
) -> Iterator[_Packet]:
    """All painted packets with new times of decoding."""
    groups = [read_index(path) for path in segments]
    shown = sorted(entry.pts for group in groups for entry in group)  # ticks in the order of display
    rank = {pts: number for number, pts in enumerate(shown)}
    coded = [entry.pts for group in groups for entry in group]  # ... and of coding
    delay = max((number - rank[pts] for number, pts in enumerate(coded)), default=0)
    step = shown[1] - shown[0] if len(shown) > 1 else 1
    number = 0
    for path in segments:
        for one in read_segment(path):
            packet: _Packet = Packet(one.data)
            early = number - delay
            packet.pts, packet.dts = one.pts, shown[early] if early >= 0 else shown[0] + early * step
            place = rank[one.pts]
            packet.duration = shown[place + 1] - one.pts if place + 1 < len(shown) else last_duration or step
            packet.time_base, packet.is_keyframe, packet.stream = coding.clip.time_base, one.key, stream
            number += 1
            yield packet


def _copied_streams(
    film: InputContainer, output: OutputContainer, target: Path
) -> tuple[dict[int, av.stream.Stream], list[str]]:
    """Streams of the output for those of the film that are copied, by the film's index."""
    copied: dict[int, av.stream.Stream] = {}
    warnings = []
    for stream in film.streams:
        if stream.type == "attachment" and target.suffix.lower() == ".mkv":  # fonts of subtitles
            with suppress(av.FFmpegError, ValueError, AttributeError):
                name = stream.metadata.get("filename", "attachment")
                kind = stream.metadata.get("mimetype") or mimetypes.guess_type(name)[0]
                output.add_attachment(name, kind or "application/octet-stream", stream.data)  # type: ignore[attr-defined]
        if stream.type not in _COPIED:
            continue
        name = (
            stream.codec_context.codec.canonical_name
            if stream.codec_context is not None
            else "of unknown kind"
        )
        if name not in output.supported_codecs:
            warnings.append(
                f"{stream.type} stream {stream.index} ({name}) is left out: {target.suffix} cannot hold it, "
                ".mkv can (-o)"
            )
            continue
        twin = output.add_stream_from_template(stream)
        twin.metadata.update(stream.metadata)
        twin.disposition = stream.disposition
        copied[stream.index] = twin
    return copied, warnings


def _carry_metadata(
    film: InputContainer,
    output: OutputContainer,
    original: VideoStream,
    painted: VideoStream,
) -> None:
    own = ("major_brand", "minor_version", "compatible_brands", "encoder")
    output.metadata.update({key: value for key, value in film.metadata.items() if key.lower() not in own})
    for key, value in original.metadata.items():
        if key.lower() not in ("encoder", "vendor_id") and not key.upper().startswith(
            ("DURATION", "NUMBER_OF_", "_STAT")
        ):
            painted.metadata[key] = value
    if original.disposition & Disposition.default:
        painted.disposition = Disposition.default


def _last_tick(segments: Sequence[Path]) -> int:
    return max((entry.pts for entry in read_index(segments[-1])), default=0) if segments else 0


def _others(
    film: InputContainer, copied: dict[int, av.stream.Stream], begins: float, end: float | None
) -> Iterator[_Packet]:
    """The film's own packets of the copied streams; with ``end`` those in between, moved to the beginning."""
    if not copied:
        return
    packets = film.demux([film.streams[index] for index in copied])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, OSError):  # of a damaged file what is there
            return
        if packet.dts is None or packet.size == 0:
            continue
        stream = film.streams[packet.stream_index]
        if (
            packet.size == len(_NO_TEXT)
            and bytes(packet) == _NO_TEXT
            and copied[stream.index].type == "subtitle"
        ):
            continue  # the pause between two subtitles of MP4, which the muxer makes itself
        base = stream.time_base or packet.time_base
        time = float((packet.pts if packet.pts is not None else packet.dts) * base)
        if end is not None and not begins <= time < end:
            continue
        if begins:
            shift = round(begins / float(base))
            packet.dts -= shift
            packet.pts = None if packet.pts is None else packet.pts - shift
        packet.stream = copied[stream.index]
        yield packet


def _keyed(packets: Iterator[_Packet], kind: int) -> Iterator[tuple[tuple[float, int, int], int, _Packet]]:
    """In the order of decoding; the key never leaves two packets to be compared."""
    for number, packet in enumerate(packets):
        time = _LATER if packet.dts is None else float(packet.dts * packet.time_base)
        yield (time, kind, number), kind, packet


def is_painted(path: Path) -> bool:
    """Whether the film at ``path`` is a result of this program. Never raises."""
    try:
        with open_film(path) as container:
            tags = {key.lower(): value for key, value in picture_stream(container, path).metadata.items()}
            return str(tags.get("encoder", "")).startswith("stylecli")
    except InputError:
        return False
