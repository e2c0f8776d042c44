"""Frames to packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from stylecli.media.video.clip import Pixels
from stylecli.media.video.colour import Converter
from stylecli.media.video.encoding import ALPHA_DATA, Coding
from stylecli.paint.pixels import to_depth


@dataclass(frozen=True)
class Coded:
    """One encoded frame. ``pts`` in the clip's time base; ``alpha``: VP9's second picture, for its transparency."""

    data: bytes
    pts: int
    key: bool
    alpha: bytes = b""


class Encoder:
    """Frames to packets; a fresh encoder behind each ``close``, so that what it gives is the same in every run.

    Attributes:
        size: bytes since the last ``close``.
    """

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._converter = Converter(coding.clip.colour, deep=coding.is_deep)
        self._context: VideoCodecContext | None = None
        self._coded: list[Coded] = []
        self.size = 0

    def prepared(
        self, pixels: Pixels, pts: int, duration: int, alpha: NDArray[Any] | None = None
    ) -> av.VideoFrame:
        """A frame as it is encoded, of (H, W, 3), uint8 or uint16, of the clip's size, and its transparency (H, W)."""
        coding = self._coding
        if coding.has_alpha:
            pixels = _with_alpha(pixels, alpha)
        frame = self._converter.from_rgb(_padded(pixels, coding.width, coding.height), coding.pix_fmt)
        frame.pts, frame.time_base, frame.duration = pts, coding.clip.time_base, duration
        return frame

    def encode(self, frame: av.VideoFrame) -> None:
        """The next frame, as ``prepared`` gave it."""
        if self._context is None:
            self._context = self._coding.started()
        self._take(self._context.encode(frame))

    def close(self) -> list[Coded]:
        """Packets in the order of coding; the next frame begins another group of pictures."""
        if self._context is not None:
            self._take(self._context.encode(None))
        coded, self._coded, self._context, self.size = self._coded, [], None, 0
        return coded

    def _take(self, packets: Sequence[Packet[Any]]) -> None:
        for packet in packets:
            if packet.size:
                assert packet.pts is not None
                alpha = b""
                if packet.has_sidedata(ALPHA_DATA):
                    alpha = bytes(packet.get_sidedata(ALPHA_DATA))
                self._coded.append(Coded(bytes(packet), packet.pts, packet.is_keyframe, alpha))
                self.size += packet.size + len(alpha)


def _with_alpha(pixels: Pixels, alpha: NDArray[Any] | None) -> Pixels:
    """(H, W, 4) of the pixels' kind; opaque where nothing is said."""
    if alpha is None:
        alpha = np.full(pixels.shape[:2], 255, np.uint8)
    return np.dstack([pixels, to_depth(alpha, pixels.dtype)])


def _padded(pixels: Pixels, width: int, height: int) -> Pixels:
    bottom, right = height - pixels.shape[0], width - pixels.shape[1]
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else pixels
