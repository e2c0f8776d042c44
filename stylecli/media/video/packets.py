"""A film's packets with time stamps that go on: jumps are bridged.

Recordings that were joined, and broadcasts, jump in time. As ffmpeg does, what follows a jump is moved to where what
came before it ends, all streams alike: in formats that allow jumps a step back, or one of more than ten seconds ahead,
of picture or sound; in others the picture alone decides, and only what no pause explains counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

if TYPE_CHECKING:
    _Packet = Packet[Any]

_BACK_S, _AHEAD_S = Fraction(1, 10), Fraction(10)  # ffmpeg's thresholds, in formats that allow jumps
_FAR_BACK_S, _FAR_AHEAD_S = Fraction(1), Fraction(3600)  # our own, in all others


def allows_jumps(container: InputContainer) -> bool:
    """Whether time stamps of this format (MPEG, FLV) may jump: then it cannot be searched by time either."""
    return bool(container.format.flags & Flags.ts_discont.value)  # type: ignore[operator]


@dataclass
class Walk:
    """Goes through the packets of a film. Times in seconds, exactly.

    Attributes:
        ended_early: whether the file broke off, once all packets were taken.
        jumps: how many were bridged so far.
    """

    container: InputContainer
    picture: VideoStream
    ended_early: bool = field(init=False, default=False)
    jumps: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._loose = allows_jumps(self.container)
        self._latest = Fraction(0)  # offset behind the latest jump
        self._offsets: dict[int, Fraction] = {}  # of each stream: the file has them a little out of step
        self._due: dict[int, Fraction] = {}

    def packets(self, streams: Sequence[Stream]) -> Iterator[_Packet]:
        """Packets of ``streams`` in the order of the file, with bridged time stamps; of a damaged file what is there.

        The streams that decide about jumps are read along with them, in every walk the same ones.
        """
        deciding = [self.picture, *self.container.streams.audio] if self._loose else [self.picture]
        wanted = {stream.index for stream in streams}
        judges = {stream.index for stream in deciding}
        everything = {stream.index: stream for stream in (*deciding, *streams)}
        source = self.container.demux(list(everything.values()))
        while True:
            try:
                packet = next(source)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.ended_early = True
                return
            self._bridge(packet, packet.stream_index in judges)
            if packet.stream_index in wanted:
                yield packet

    def _bridge(self, packet: _Packet, decides: bool) -> None:
        stamp, base = packet.dts if packet.dts is not None else packet.pts, packet.time_base
        if stamp is None or not base:
            return
        offset = self._offsets.get(packet.stream_index, Fraction(0))
        if decides:
            due = self._due.get(packet.stream_index, stamp * base + self._latest)
            if not self._goes_on(stamp * base + offset, due):
                if not self._goes_on(stamp * base + self._latest, due):
                    self._latest = due - stamp * base
                    self.jumps += 1
                offset = self._latest
            self._offsets[packet.stream_index] = offset
            self._due[packet.stream_index] = stamp * base + offset + (packet.duration or 0) * base
        else:
            offset = self._offsets.get(self.picture.index, offset)
        if offset:
            moved = round(offset / base)
            packet.dts = None if packet.dts is None else packet.dts + moved
            packet.pts = None if packet.pts is None else packet.pts + moved

    def _goes_on(self, now: Fraction, due: Fraction) -> bool:
        back, ahead = (_BACK_S, _AHEAD_S) if self._loose else (_FAR_BACK_S, _FAR_AHEAD_S)
        return -back <= now - due <= ahead
