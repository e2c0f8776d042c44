"""Frames that wait for the rest of their group of pictures: kept losslessly (FFV1), so that a run that goes on can give
a fresh encoder the very same frames, and gets the very same film."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import av
from av.codec import CodecContext
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stylecli.errors import InputError
from stylecli.files.atomic import CheckedFile, atomic_file
from stylecli.media.video.encoding import Coding

_RECORD = struct.Struct("<Iq")  # bytes that follow, and when the frame is shown
_HEADER = -1  # stands for a time: what the decoder has to know first


@dataclass
class Waiting:
    """Writes frames to a file, one after the other; the file has its name once it is closed."""

    coding: Coding
    _context: VideoCodecContext | None = field(init=False, default=None)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    def add(self, frame: av.VideoFrame, path: Path) -> None:
        """The next frame; ``path`` is where the first opens a file. Raises InputError."""
        if self._context is None:
            self._context = self._started(frame)
            self._file: CheckedFile = self._stack.enter_context(atomic_file(path))
            self._write(self._context.extradata or b"", _HEADER)
        assert frame.pts is not None
        for packet in self._context.encode(frame):
            self._write(bytes(packet), frame.pts)

    def close(self) -> None:
        """The file is whole. Raises InputError where it could not be written."""
        self._context = None
        self._stack.close()

    def _started(self, frame: av.VideoFrame) -> VideoCodecContext:
        context = CodecContext.create("ffv1", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base, context.options = self.coding.clip.time_base, {"level": "3", "slices": "4"}
        context.flags |= Flags.global_header
        context.open()
        return context

    def _write(self, data: bytes, pts: int) -> None:
        self._file.write(_RECORD.pack(len(data), pts) + data)


def restored(path: Path, coding: Coding) -> Iterator[av.VideoFrame]:
    """The frames of a file of waiting ones, as they were. Raises InputError."""
    context = CodecContext.create("ffv1", "r")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = coding.width, coding.height, coding.pix_fmt
    try:
        with path.open("rb") as file:
            for data, pts in _records(file):
                if pts == _HEADER:
                    context.extradata = data
                    continue
                for frame in context.decode(Packet(data)):
                    frame.pts, frame.time_base = pts, coding.clip.time_base
                    frame.pict_type = PictureType.NONE  # or it would be a key frame again
                    yield frame
    except (av.FFmpegError, OSError, struct.error) as error:
        raise InputError(
            f"{path}: this part of an interrupted run is damaged: --overwrite begins again"
        ) from error


def _records(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    while head := file.read(_RECORD.size):
        size, pts = _RECORD.unpack(head)
        yield file.read(size), pts
