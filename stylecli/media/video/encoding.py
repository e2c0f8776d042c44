"""Encoders: which there are, and how they are set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import cv2
from av.codec import Codec, CodecContext
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from stylecli.errors import InputError, UsageError
from stylecli.media.video.clip import Clip

GOP_FRAMES = 48
"""Frames after each of which a film can be taken up again."""
GOP_GROUPS = 5
"""Groups that one encoder encodes. Where the next one begins there is a key frame, whose errors are others, and what
stands still seems to twitch; encoders by themselves set them about as rarely (x264: every 250 frames)."""

ALPHA_DATA: Final = "matroska_block_additional"
"""Where VP9's packets have their transparency."""


@dataclass(frozen=True)
class _Kind:
    encoder: str
    pix_fmt: str
    odd_pix_fmt: str | None  # for sizes that 4:2:0 cannot hold
    crf: int | None
    preset: str | None
    suffixes: tuple[str, ...]  # of files that hold it, the usual one first
    extra: tuple[tuple[str, str], ...] = ()
    alpha_pix_fmt: str | None = None


_X26 = ("libx264", "libx265")  # they print past everybody what they think of another name
_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
_AVX_512 = 13  # CV_CPU_AVX_512F of OpenCV's cvdef.h
_KEYS_ONLY = ("prores_ks", "ffv1")
_MP4 = (".mp4", ".m4v", ".mov", ".mkv")
_VP9 = (("b", "0"), ("row-mt", "1"), ("deadline", "good"))
_KINDS = {
    "h264": _Kind("libx264", "yuv420p", "yuv444p", 18, "medium", _MP4),
    "hevc": _Kind("libx265", "yuv420p", "yuv444p", 20, "medium", _MP4, (("x265-params", "log-level=none"),)),
    "av1": _Kind("libsvtav1", "yuv420p", None, 28, "8", (".mp4", ".m4v", ".mkv", ".webm")),
    "vp9": _Kind("libvpx-vp9", "yuv420p", "yuv444p", 24, "3", (".webm", ".mkv", ".mp4"), _VP9, "yuva420p"),
    "prores": _Kind(
        *("prores_ks", "yuv422p10le", "yuv444p10le", None, None, (".mov", ".mkv"), ()), "yuva444p10le"
    ),
    "ffv1": _Kind("ffv1", "yuv444p", "yuv444p", None, None, (".mkv",), (), "yuva444p"),
    # NVENC has no crf: cq is its constant quality. Written for machines that have it; not run on one yet.
    "h264-nvenc": _Kind("h264_nvenc", "yuv420p", "yuv444p", 20, "p5", _MP4, (("rc", "vbr"), ("b", "0"))),
    "hevc-nvenc": _Kind("hevc_nvenc", "yuv420p", "yuv444p", 22, "p5", _MP4, (("rc", "vbr"), ("b", "0"))),
}


@contextmanager
def ordinary_thread() -> Iterator[None]:
    """Within, encoders are opened: this thread stays an ordinary one.

    Run as root (in a container, say), SVT-AV1 makes the thread that opens it a real-time one, and so all that this
    thread starts: nothing else would get its core any more.
    """
    if not hasattr(os, "sched_getscheduler"):  # macOS, Windows
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameter)


def open_encoder(context: VideoCodecContext) -> None:
    """Open an encoder, and keep this thread an ordinary one. Raises FFmpegError."""
    with ordinary_thread():
        context.open()


@dataclass(frozen=True)
class Encoding:
    """How a film is encoded, as asked for; None is the codec's own default, and of the codec: h264, or for a film with
    transparency one that holds it."""

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None

    @property
    def name(self) -> str:
        return self.codec or "h264"

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.name]

    def holding(self, clip: Clip, suffix: str) -> Encoding:
        """The same, with a codec for transparency where the clip has some and none was asked for."""
        if not clip.alpha or self != Encoding():
            return self
        codec = {".mov": "prores", ".mkv": "vp9"}.get(suffix)
        return self if codec is None else Encoding(codec)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of files that can hold it, the usual one first."""
        return self._kind.suffixes

    def check(self) -> None:
        """Raises UsageError where no such encoder is here, or it does not take an option."""
        kind = self._kind
        try:
            encoder = Codec(kind.encoder, "w")
        except ValueError:
            raise UsageError(f"--codec {self.name}: the encoder {kind.encoder} is not in this PyAV") from None
        formats = [format.name for format in encoder.video_formats or ()]
        if self.pix_fmt is not None and self.pix_fmt not in formats:
            shown = ", ".join(name for name in formats if not name.startswith(("cuda", "vaapi")))
            raise UsageError(f"--pix-fmt {self.pix_fmt}: {kind.encoder} takes {shown}")
        if self.crf is not None and kind.crf is None:
            raise UsageError(f"--crf {self.crf}: --codec {self.name} has no such setting")
        if self.preset is not None and kind.preset is None:
            raise UsageError(f"--preset {self.preset}: --codec {self.name} has no such setting")
        if self.preset is not None and kind.encoder in _X26 and self.preset not in _PRESETS:
            raise UsageError(f"--preset {self.preset}: {kind.encoder} takes {', '.join(_PRESETS)}")
        try:
            context = CodecContext.create(kind.encoder, "w")
            assert isinstance(context, VideoCodecContext)
            self._set(context, 64, 64, Fraction(1, 25), Fraction(25), self.pix_fmt or kind.pix_fmt)
            open_encoder(context)
        except (av.FFmpegError, ValueError) as error:
            words = getattr(error, "strerror", None) or str(error)
            asked = f" --preset {self.preset}" if self.preset else ""
            asked += "" if self.crf is None else f" --crf {self.crf}"
            words += ", it needs an NVIDIA card and its driver" if kind.encoder.endswith("_nvenc") else ""
            raise UsageError(f"--codec {self.name}{asked}: {kind.encoder} does not start ({words})") from None

    def plan(self, clip: Clip) -> Coding:
        """What becomes of ``clip``: pixel format, size, and notices about both.

        Raises InputError where the encoder does not take it.
        """
        kind, width, height = self._kind, clip.width, clip.height
        pix_fmt = self.pix_fmt or (kind.alpha_pix_fmt if clip.alpha else None) or kind.pix_fmt
        notices = []
        if clip.alpha and not _has_alpha(pix_fmt):
            notices.append(
                f"its transparency is left out: {self.name} in {pix_fmt} has none (--codec prores in .mov, vp9 or "
                "ffv1 in .mkv keep it)"
            )
        if _odd(pix_fmt, width, height) and self.pix_fmt is None and kind.odd_pix_fmt is not None:
            pix_fmt = kind.odd_pix_fmt
            notices.append(
                f"the odd size {width}x{height} is kept by coding {pix_fmt}, which some players do not show "
                "(--pix-fmt yuv420p repeats the last line or column instead)"
            )
        elif _odd(pix_fmt, width, height):
            width, height = width + width % 2, height + height % 2
            notices.append(
                f"{clip.width}x{clip.height} becomes {width}x{height}: {pix_fmt} holds even sizes only"
            )
        if clip.deep and _bits(pix_fmt) <= 8:
            notices.append(f"more than 8 bits for each colour become 8 ({pix_fmt}; see --pix-fmt)")
        coding = Coding(self, clip, width, height, pix_fmt, tuple(notices))
        try:
            coding.started()
        except (av.FFmpegError, ValueError) as error:
            words = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"{clip.path}: {kind.encoder} does not take {width}x{height} in {pix_fmt} ({words}): another --codec "
                "may"
            ) from None
        return coding

    def _set(
        self,
        context: VideoCodecContext,
        width: int,
        height: int,
        time_base: Fraction,
        rate: Fraction,
        pix_fmt: str,
    ) -> None:
        kind = self._kind
        os.environ.setdefault("SVT_LOG", "0")  # or it writes a page about itself to stderr
        context.width, context.height, context.pix_fmt = width, height, pix_fmt
        context.time_base, context.framerate = time_base, rate
        options = dict(kind.extra)
        if kind.encoder == "libx264" and cv2.checkHardwareSupport(_AVX_512):
            # With AVX-512 it does not code the same frames in the same way twice (its mbtree, of widths that are no
            # multiple of 128), and a run that goes on would give another film.
            options["x264-params"] = "asm=avx2"
        if kind.crf is not None:
            quality = kind.crf if self.crf is None else self.crf
            options["cq" if kind.encoder.endswith("nvenc") else "crf"] = str(quality)
        if kind.preset is not None:
            name = "cpu-used" if kind.encoder == "libvpx-vp9" else "preset"
            options[name] = self.preset or kind.preset
        context.options = options
        context.flags |= Flags.global_header


@dataclass(frozen=True)
class Coding:
    """Settled: how this clip is encoded. Makes encoders that are all alike, so that their packets can be joined."""

    encoding: Encoding
    clip: Clip
    width: int
    height: int
    pix_fmt: str
    notices: tuple[str, ...]

    @property
    def encoder(self) -> str:
        return self.encoding._kind.encoder

    @property
    def is_deep(self) -> bool:
        return _bits(self.pix_fmt) > 8

    @property
    def groups_in_gop(self) -> int:
        """How many groups one encoder encodes: one where all frames are key frames, or none can wait losslessly."""
        too_small = min(self.width, self.height) < 16  # for FFV1
        if too_small or self.encoder in _KEYS_ONLY or self.pix_fmt not in lossless_formats():
            return 1
        return GOP_GROUPS

    @property
    def has_alpha(self) -> bool:
        return _has_alpha(self.pix_fmt)

    def tag(self, format: str) -> str | None:
        """The name that the codec must have in a file of this format; None: any. Apple plays no HEVC but hvc1."""
        return "hvc1" if "hevc" in self.encoding.name and format in ("mp4", "mov") else None

    def started(self) -> VideoCodecContext:
        """A fresh encoder. Raises FFmpegError."""
        context = CodecContext.create(self.encoder, "w")
        assert isinstance(context, VideoCodecContext)
        self.configure(context)
        open_encoder(context)
        return context

    def configure(self, context: VideoCodecContext) -> None:
        """Set an encoder up for this clip."""
        clip, colour = self.clip, self.clip.colour.for_coding()
        self.encoding._set(context, self.width, self.height, clip.time_base, clip.rate, self.pix_fmt)
        context.sample_aspect_ratio = clip.aspect
        context.color_range, context.colorspace = colour.range, colour.matrix
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer


def lossless_formats() -> set[str]:
    """Pixel formats in which frames can wait (see :mod:`stylecli.media.video.waiting`)."""
    return {format.name for format in Codec("ffv1", "w").video_formats or ()}


def _has_alpha(pix_fmt: str) -> bool:
    return any(component.is_alpha for component in av.VideoFormat(pix_fmt).components)


def _bits(pix_fmt: str) -> int:
    return max(component.bits for component in av.VideoFormat(pix_fmt).components)


def _odd(pix_fmt: str, width: int, height: int) -> bool:
    """Whether the size is no multiple of the format's chroma cells."""
    format = av.VideoFormat(pix_fmt)
    across, down = (2 if format.chroma_width(4) == 2 else 1), (2 if format.chroma_height(4) == 2 else 1)
    return bool(width % across or height % down)
