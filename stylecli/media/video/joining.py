"""Segments and the input's other streams into one file: nothing is encoded again that the container can hold.

Times of decoding are made anew: taken in the order of display, each frame is decoded as many frames earlier as the
encoders reorder at most. That is what one encoder for the whole film would have given.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.video.stream import VideoStream

from stylecli import __version__
from stylecli.errors import InputError
from stylecli.files.atomic import CheckedFile, atomic_file
from stylecli.media.video import tags
from stylecli.media.video.encoding import ALPHA_DATA, Coding, ordinary_thread
from stylecli.media.video.opening import open_film, picture_stream
from stylecli.media.video.packets import Walk
from stylecli.media.video.segments import read_index, read_segment
from stylecli.media.video.tracks import Track, carried_tracks, is_pause

if TYPE_CHECKING:
    _Packet = Packet[Any]

MAKER = f"stylecli {__version__}"
_DIGITS = 12
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_ALPHA_NUMBER = packet_sidedata_type_from_literal(ALPHA_DATA)
_LATER = 1e9  # seconds: packets without a time go last


@dataclass(frozen=True)
class Join:
    """What is joined.

    Attributes:
        segments: of whole groups encoded by ``coding``, in order.
        last_duration: how long the last frame is shown, in ticks of the clip; 0 where unknown.
        film: whose sound, subtitles, chapters and tags are taken over; None where there are none.
        begins: seconds of that film at which the result begins.
        trim: whether sound and subtitles are cut where the picture begins and ends, as in an excerpt.
        made: fingerprint of the settings that it was painted with.
    """

    segments: Sequence[Path]
    coding: Coding
    last_duration: int
    film: Path | None = None
    begins: Fraction = Fraction(0)
    trim: bool = False
    made: str = ""

    def write(self, target: Path) -> list[str]:
        """Write ``target``, whole or not at all; lines about what is not carried over as it was.

        A film that is painted is not lost to sound that the container chokes on: it is recoded then, or left out.
        Raises InputError where the target cannot be written.
        """
        why = None
        for way in ("copied", "recoded", "left out"):
            try:
                said = self._write(target, way)
            except av.FFmpegError as error:
                why = why or error
                continue
            if why is not None and self.film is not None:
                said.append(f"sound is {way}: {target.suffix} does not take it as it is ({why.strerror})")
            return said
        assert why is not None
        raise InputError(f"{target}: cannot be written: {why.strerror}") from why

    def _write(self, target: Path, way: str) -> list[str]:
        with atomic_file(target) as disk, ExitStack() as stack:
            film = None if self.film is None else stack.enter_context(open_film(self.film))
            kind = _FORMATS[target.suffix.lower()]
            options = _options(self.coding, kind, {} if film is None else film.metadata)
            with av.open(disk, "w", format=kind, options=options) as output:
                said = self._mux(output, film, target, disk, way)
            disk.check()
            if film is not None:
                said += self._not_carried(film, Path(disk.name), target)
            return said

    def _not_carried(self, film: InputContainer, written: Path, target: Path) -> list[str]:
        """What the film says of itself and its sound that is not in what was written."""
        spoken = {one.index: one.metadata for one in film.streams if one.type in ("audio", "subtitle")}
        with open_film(written) as result:
            lost = tags.missing(film.metadata, result.metadata)
            there = [one.metadata for one in result.streams]
            if any(one.type == "audio" for one in result.streams):
                lost += tags.missing_of_streams(spoken, there)
        return [f"left out, {target.suffix} does not hold it: {', '.join(lost)}"] if lost else []

    def _mux(
        self,
        output: OutputContainer,
        film: InputContainer | None,
        target: Path,
        disk: CheckedFile,
        way: str,
    ) -> list[str]:
        coding = self.coding
        painted = output.add_stream(coding.encoder, rate=coding.clip.rate)
        assert isinstance(painted, VideoStream)
        coding.configure(painted.codec_context)
        tag = coding.tag(output.format.name)
        if tag is not None:
            painted.codec_context.codec_tag = tag
        painted.time_base = coding.clip.time_base
        # MP4 keeps 31 letters of it.
        made = f" {self.made[:_DIGITS]}" if self.made else ""
        painted.metadata["encoder"] = f"{MAKER}{made} {coding.encoder}"
        if coding.has_alpha:
            painted.metadata["alpha_mode"] = "1"
        pictures = _pictures(self.segments, painted, coding, self.last_duration)
        if film is None or self.film is None:
            _send(output, pictures, disk)
            return []
        original = picture_stream(film, self.film)
        end = (_last_tick(self.segments) + self.last_duration) * coding.clip.time_base
        tags.carry(film, output, original, painted)
        marks = tags.chapters(film, self.begins, end if self.trim else None)
        if marks:
            output.set_chapters(marks)
        tracks: dict[int, Track] = {}
        covers: list[_Packet] = []
        said: list[str] = []
        if way != "left out":
            copied = way == "copied"
            tracks, covers, said = carried_tracks(film, output, target, self.film, original, copied=copied)
        _send(output, iter(covers), disk)
        others = _Others(film, original, tracks, self.begins, end if self.trim else None)
        merged = heapq.merge(_keyed(pictures, 0), _keyed(others.packets(), 1))
        _send(output, (packet for _, _, packet in merged), disk)
        return [*said, *others.said()]


def _send(output: OutputContainer, packets: Iterator[_Packet], disk: CheckedFile) -> None:
    with ordinary_thread():
        output.start_encoding()  # opens the encoders of all streams, though packets are there already
    for packet in packets:
        output.mux_one(packet)
        disk.check()


def _options(coding: Coding, kind: str, metadata: Mapping[str, str]) -> dict[str, str]:
    if kind not in ("mp4", "mov"):
        return {}
    scale = str(coding.clip.time_base.denominator)
    flags = "+faststart" + ("+use_metadata_tags" if tags.wants_quicktime_keys(metadata) else "")
    # The film's own ticks, also for the place where it begins; the index in front, so that it plays while it loads.
    return {"video_track_timescale": scale, "movie_timescale": scale, "movflags": flags}


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
            if one.alpha:
                beside = PacketSideData(_ALPHA_NUMBER, len(one.alpha))  # type: ignore[call-arg]
                beside.update(one.alpha)
                packet.set_sidedata(beside)
            early = number - delay
            packet.pts, packet.dts = one.pts, shown[early] if early >= 0 else shown[0] + early * step
            place = rank[one.pts]
            packet.duration = shown[place + 1] - one.pts if place + 1 < len(shown) else last_duration or step
            packet.time_base, packet.is_keyframe, packet.stream = coding.clip.time_base, one.key, stream
            number += 1
            yield packet


def _last_tick(segments: Sequence[Path]) -> int:
    return max((entry.pts for entry in read_index(segments[-1])), default=0) if segments else 0


@dataclass
class _Others:
    """The film's own packets of the carried tracks, counted from where the result begins; with ``end`` (seconds of
    the result) those in between."""

    film: InputContainer
    original: VideoStream
    tracks: dict[int, Track]
    begins: Fraction
    end: Fraction | None

    def __post_init__(self) -> None:
        self._last: dict[int, int] = {}  # time of decoding of each track's last packet
        self._moved: set[int] = set()

    def packets(self) -> Iterator[_Packet]:
        if not self.tracks:
            return
        streams = [self.film.streams[index] for index in self.tracks]
        for packet in Walk(self.film, self.original).packets(streams):
            if packet.size == 0 or (packet.dts is None and packet.pts is None):
                continue
            track = self.tracks[packet.stream_index]
            if track.twin.type == "subtitle" and is_pause(packet):
                continue
            if self._shifted(packet, track.twin.type == "subtitle"):
                yield from self._in_order(packet.stream_index, track.take(packet))
        for index, track in self.tracks.items():
            yield from self._in_order(index, track.finish())

    def _shifted(self, packet: _Packet, stays: bool) -> bool:
        """Count from the result's beginning; whether it lies in the result. What ``stays`` on screen may have begun
        before it."""
        base = packet.time_base
        shift = round(self.begins / base)
        packet.dts = (packet.dts if packet.dts is not None else packet.pts or 0) - shift
        packet.pts = None if packet.pts is None else packet.pts - shift
        if self.end is None:
            return True
        at = packet.pts if packet.pts is not None else packet.dts
        if stays and at < 0 < at + (packet.duration or 0):
            packet.duration = at + (packet.duration or 0)
            packet.pts = packet.dts = at = 0
        return 0 <= at * base < self.end

    def _in_order(self, index: int, packets: Iterator[_Packet]) -> Iterator[_Packet]:
        """Times of decoding that go forward: containers take no others."""
        for packet in packets:
            last = self._last.get(index)
            if last is not None and packet.dts is not None and packet.dts <= last:
                self._moved.add(index)
                packet.dts = last + 1
                packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
            if packet.dts is not None:
                self._last[index] = packet.dts
            yield packet

    def said(self) -> list[str]:
        """What went wrong on the way, once all packets were taken."""
        moved = [f"stream {index}: time stamps that go back are moved up" for index in sorted(self._moved)]
        broken = {index: track.problems for index, track in self.tracks.items()}
        return moved + [f"stream {index}: {text}" for index, text in broken.items() if text is not None]


def _keyed(packets: Iterator[_Packet], kind: int) -> Iterator[tuple[tuple[float, int, int], int, _Packet]]:
    """In the order of decoding; the key never leaves two packets to be compared."""
    for number, packet in enumerate(packets):
        time = _LATER if packet.dts is None else float(packet.dts * packet.time_base)
        yield (time, kind, number), kind, packet


def is_painted(path: Path) -> bool:
    """Whether the film at ``path`` is a result of this program. Never raises."""
    return _mark_of(path).startswith("stylecli")


def made_with(path: Path) -> str | None:
    """The beginning of :attr:`Join.made` of the film at ``path``; None where it does not say. Never raises."""
    match = re.match(rf"stylecli \S+ ([0-9a-f]{{{_DIGITS}}})( |$)", _mark_of(path))
    return None if match is None else match[1]


def _mark_of(path: Path) -> str:
    try:
        with open_film(path) as container:
            tags = {key.lower(): value for key, value in picture_stream(container, path).metadata.items()}
            return str(tags.get("encoder", ""))
    except InputError:
        return ""
