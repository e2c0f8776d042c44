"""Options of films alone: which part of them is painted, and how the result is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli.groups import Reading
from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.media.video.clip import Excerpt
    from stylecli.media.video.encoding import Encoding


class Codec(StrEnum):
    h264 = "h264"
    hevc = "hevc"
    av1 = "av1"
    vp9 = "vp9"
    prores = "prores"
    ffv1 = "ffv1"
    h264_nvenc = "h264-nvenc"
    hevc_nvenc = "hevc-nvenc"


class Hdr(StrEnum):
    tone_map = "tone-map"
    refuse = "refuse"


@dataclass(frozen=True)
class Part:
    """Which part of a film is painted, at which rate."""

    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin here: seconds, 1:30 or 0:01:30.5.")
    ] = None
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End here.")] = None
    max_frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Paint no more frames than this.")
    ] = None
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            show_default="every frame at its own time",
            help="Another frame rate, as 25 or 30000/1001.",
        ),
    ] = None
    hdr: Annotated[
        Hdr, typer.Option(help="What becomes of HDR films (HLG, PQ): tone-mapped to SDR, or refused.")
    ] = Hdr.tone_map

    def excerpt(self, reading: Reading) -> Excerpt:
        """Raises UsageError."""
        from fractions import Fraction

        from stylecli.media.video.clip import Excerpt
        from stylecli.run.timeline import parse_seconds

        begin = None if self.start is None else parse_seconds(self.start, "--start")
        stop = None if self.end is None else parse_seconds(self.end, "--end")
        if stop is not None and stop <= (begin or 0):
            raise UsageError(f"--end {self.end} is not after --start {self.start or 0}")
        rate = None
        if self.fps is not None:
            try:
                rate = Fraction(self.fps).limit_denominator(1_000_000)
            except (ValueError, ZeroDivisionError):
                rate = Fraction(0)
            if not 0 < rate <= 1000:
                raise UsageError(f"--fps {self.fps}: not a frame rate (as in 25 or 30000/1001)")
        tone_map = self.hdr is Hdr.tone_map
        return Excerpt(begin, stop, self.max_frames, rate, reading.max_size, reading.max_pixels, tone_map)


@dataclass(frozen=True)
class Encoded:
    """How a film is encoded."""

    codec: Annotated[
        Codec | None,
        typer.Option(
            show_default="h264; with transparency prores in .mov, vp9 in .mkv",
            help="How the result is encoded.",
        ),
    ] = None
    crf: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=63,
            show_default="18 for h264",
            help="Quality: lower is better and larger.",
        ),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="medium", help="The encoder's speed, as fast or slow."),
    ] = None
    pix_fmt: Annotated[
        str | None, typer.Option(metavar="NAME", show_default="yuv420p", help="The encoder's pixel format.")
    ] = None

    def encoding(self) -> Encoding:
        from stylecli.media.video.encoding import Encoding

        return Encoding(None if self.codec is None else self.codec.value, self.crf, self.preset, self.pix_fmt)
