"""Between the colours of a video stream and RGB: range and matrix are read, and the same ones written.

The curve and the primaries are carried as tags: BT.709's curve is painted as if it were sRGB's, as every player of
stylized pictures does, and coming back through the same matrix and range, black stays black. Conversion is swscale's,
with full chroma resolution and exact rounding; without those flags greys are off by up to 1.7 of 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

_UNSPECIFIED = 2  # of matrix, primaries and transfer alike (ITU-T H.273)
_RGB = 0
_BT709, _BT601, _BT2020 = 1, 6, 9
_SWS = {_BT709: 1, 4: 4, 5: 5, _BT601: 5, 7: 7, _BT2020: 9, 10: 9}  # H.273's matrix -> swscale's table
_NAMES = {1: "bt709", 4: "fcc", 5: "smpte170m", 7: "smpte240m", 9: "bt2020"}
_PQ, _HLG = 16, 18
_FLAGS = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


@dataclass(frozen=True)
class Colour:
    """A stream's colour tags, numbered as in ITU-T H.273; range as in FFmpeg (0 unsaid, 1 limited, 2 full)."""

    range: int = 0
    matrix: int = _UNSPECIFIED
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (_PQ, _HLG)

    @property
    def transfer_name(self) -> str:
        return {_PQ: "PQ", _HLG: "HLG"}.get(self.transfer, str(self.transfer))

    def for_coding(self) -> Colour:
        """What a YUV stream made from this is tagged with: RGB sources get BT.709, everything else stays."""
        if self.matrix != _RGB:
            return self
        primaries = _BT709 if self.primaries == _UNSPECIFIED else self.primaries
        transfer = _BT709 if self.transfer == _UNSPECIFIED else self.transfer
        return Colour(1, _BT709, primaries, transfer)

    def table(self, height: int) -> int:
        """swscale's matrix; where the stream does not say, what players take: BT.601 under 720 lines, else BT.709."""
        if self.matrix in _SWS:
            return _SWS[self.matrix]
        return _SWS[_BT709 if height >= 720 else _BT601]

    @property
    def coded_range(self) -> int:
        return int(ColorRange.JPEG if self.range == 2 else ColorRange.MPEG)


class Converter:
    """Frames to arrays of RGB and back, at one size. Not to be shared between threads."""

    def __init__(self, colour: Colour, *, deep: bool) -> None:
        self.colour = colour
        self._rgb = "rgb48le" if deep else "rgb24"
        self._scaler, self._alpha_scaler = VideoReformatter(), VideoReformatter()
        self._graph: tuple[tuple[Any, ...], Graph] | None = None

    def to_rgb(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[Any]:
        """(height, width, 3), uint8, or uint16 of a deep stream."""
        table = self.colour.table(frame.height)
        rgb = frame.format.is_rgb
        converted = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=self._rgb,
            src_colorspace=None if rgb else table,
            dst_colorspace=None if rgb else table,
            src_color_range=ColorRange.JPEG if rgb else self.colour.coded_range,
            dst_color_range=ColorRange.JPEG,
            interpolation=_FLAGS,
        )
        return converted.to_ndarray()

    def to_alpha(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width), of a frame that has transparency."""
        converted = self._alpha_scaler.reformat(frame, width=width, height=height, format="rgba")
        return np.ascontiguousarray(converted.to_ndarray()[..., 3])

    def from_rgb(self, pixels: NDArray[Any], pix_fmt: str) -> av.VideoFrame:
        """A frame in ``pix_fmt``, tagged. ``pixels`` (H, W, 3), or with transparency (H, W, 4); uint8 or uint16."""
        colour = self.colour.for_coding()
        deep, channels = pixels.dtype == np.uint16, pixels.shape[2]
        kind = {(3, False): "rgb24", (3, True): "rgb48le", (4, False): "rgba", (4, True): "rgba64le"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), kind[channels, deep])
        key = (*pixels.shape, deep, pix_fmt)
        if self._graph is None or self._graph[0] != key:
            self._graph = key, _graph(frame, colour, pix_fmt)
        graph = self._graph[1]
        graph.vpush(frame)
        frame = graph.vpull()
        frame.colorspace, frame.color_range = colour.matrix, colour.range
        frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
        return frame


def _graph(frame: av.VideoFrame, colour: Colour, pix_fmt: str) -> Graph:
    """A filter instead of the scaler itself, which cannot be told where chroma lies: at the left, as decoders of all
    these codecs take it. In the middle it would move a quarter of a pixel with every generation."""
    matrix = _NAMES[colour.table(frame.height)]
    span = "full" if colour.range == 2 else "limited"
    graph = Graph()
    buffer = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    flags = "bicubic+full_chroma_int+accurate_rnd"
    scale = graph.add(
        "scale", f"out_color_matrix={matrix}:out_range={span}:out_chroma_loc=left:flags={flags}"
    )
    graph.link_nodes(buffer, scale, graph.add("format", f"pix_fmts={pix_fmt}"), graph.add("buffersink"))
    graph.configure()
    return graph
