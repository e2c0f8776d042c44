"""From packets to frames: every frame that can be decoded, with its transparency; damage is counted and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.codec import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from stylecli.media.video.packets import Walk, allows_jumps

if TYPE_CHECKING:
    _Packet = Packet[Any]

_SHORT_BY_S = 0.5  # a film that ends earlier than this before its promised end is cut off
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own leave transparency out


def has_hidden_alpha(stream: VideoStream) -> bool:
    """Whether a VP8 or VP9 stream says that each packet has its transparency beside it."""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    return tags.get("alpha_mode") == "1" and stream.codec_context.name in _ALPHA_DECODERS


def decoded(
    container: InputContainer, stream: VideoStream, warnings: list[str], begin: Fraction | None = None
) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded; what cannot is counted, and said in ``warnings`` at the end.

    ``begin``: seconds from which on frames are wanted; None: all are. Where the format cannot be searched, what comes
    earlier is read, and decoded only from the key frame before on.
    """
    walk, decode = Walk(container, stream), _decoder(stream)
    packets = lost = 0
    end = 0.0
    for packet in _from_key_frame(walk.packets([stream]), begin if allows_jumps(container) else None):
        packets += packet.size > 0
        try:
            frames = decode(packet)
        except av.FFmpegError:
            lost += packet.size > 0
            continue
        for frame in frames:
            if frame.is_corrupt:
                lost += 1
            else:
                end = max(end, frame.time or 0.0)
                yield frame
    if lost:
        warnings.append(f"damaged: about {lost} frames could not be decoded, the rest is painted")
    if walk.jumps:
        places = "one place" if walk.jumps == 1 else f"{walk.jumps} places"
        warnings.append(f"its time stamps jump in {places}: bridged, as if nothing were missing")
    if walk.ended_early or (begin is None and packets < stream.frames):
        of = f" of {stream.frames}" if stream.frames else ""
        warnings.append(f"cut off: {packets}{of} frames are there, these are painted")
    elif not stream.frames and end < _promised_end(stream) - _SHORT_BY_S:
        warnings.append(
            f"cut off: it ends at {end:.1f} of {_promised_end(stream):.1f} s; what is there is painted"
        )


def _decoder(stream: VideoStream) -> Callable[[_Packet], list[av.VideoFrame]]:
    if not has_hidden_alpha(stream):
        return lambda packet: packet.decode()
    context = CodecContext.create(_ALPHA_DECODERS[stream.codec_context.name], "r")
    assert isinstance(context, VideoCodecContext)
    return lambda packet: context.decode(packet if packet.size else None)


def _from_key_frame(packets: Iterator[_Packet], begin: Fraction | None) -> Iterator[_Packet]:
    """The packets from the last key frame before ``begin`` on."""
    waiting: list[_Packet] = []
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if begin is not None and stamp is not None and stamp * packet.time_base < begin:
            if packet.is_keyframe:
                waiting.clear()
            waiting.append(packet)
            continue
        yield from waiting
        waiting.clear()
        yield packet
    yield from waiting


def _promised_end(stream: VideoStream) -> float:
    """Seconds that a Matroska file says its picture lasts; 0 where it says nothing."""
    tags = {key.upper(): value for key, value in stream.metadata.items()}
    try:
        hours, minutes, seconds = tags["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (KeyError, ValueError):
        return 0.0
