"""Frames that wait for the rest of their group of pictures: kept losslessly (FFV1), so that a run that goes on can give
a fresh encoder the very same frames, and gets the very same film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.codec import CodecContext
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stylecli.errors import InputError
from stylecli.media.video.encoding import Coded, Coding
from stylecli.media.video.segments import read_segment

_HEADER = -1  # stands for a time: what the decoder has to know first


class Waiting:
    """Takes frames; ``close`` gives their packets."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._context: VideoCodecContext | None = None
        self._coded: list[Coded] = []

    def add(self, frame: av.VideoFrame) -> None:
        if self._context is None:
            context = CodecContext.create("ffv1", "w")
            assert isinstance(context, VideoCodecContext)
            context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
            context.time_base, context.options = self._coding.clip.time_base, {"level": "3", "slices": "4"}
            context.flags |= Flags.global_header
            context.open()
            self._context = context
            self._coded.append(Coded(context.extradata or b"", _HEADER, False))
        assert frame.pts is not None
        for packet in self._context.encode(frame):
            self._coded.append(Coded(bytes(packet), frame.pts, True))

    def close(self) -> list[Coded]:
        """The packets of the frames since the last time."""
        coded, self._coded, self._context = self._coded, [], None
        return coded


def restored(path: Path, coding: Coding) -> Iterator[av.VideoFrame]:
    """The frames of a file of waiting ones, as they were. Raises InputError."""
    header, *coded = read_segment(path)
    context = CodecContext.create("ffv1", "r")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = coding.width, coding.height, coding.pix_fmt
    context.extradata = header.data
    try:
        for one in coded:
            yield from _timed(context.decode(Packet(one.data)), one.pts, coding)
    except av.FFmpegError as error:
        raise InputError(
            f"{path}: this part of an interrupted run is damaged: --overwrite begins again"
        ) from error


def _timed(frames: Sequence[av.VideoFrame], pts: int, coding: Coding) -> Iterator[av.VideoFrame]:
    for frame in frames:
        frame.pts, frame.time_base = pts, coding.clip.time_base
        frame.pict_type = PictureType.NONE  # or it would be a key frame again
        yield frame
