"""Open a film: one local file that holds its own pictures.

Playlists (ffconcat, HLS, DASH, SDP ...) lead to other files and to the network, so the formats that are read are named
here, and FFmpeg's others refused, whatever a file is called.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image

from stylecli.errors import InputError
from stylecli.files import remote
from stylecli.files.remote import RemotePath
from stylecli.media.pillow_guard import readable_formats

_FILMS = (
    "mov matroska avi mpeg mpegts mpegvideo m4v h264 hevc obu ivf vc1 asf flv live_flv ogg mxf gxf dv nut wtv rm gif "
    "apng yuv4mpegpipe swf amv"
)
_PICTURES = "png_pipe jpeg_pipe webp_pipe bmp_pipe tiff_pipe gif_pipe"  # only to say what they are
_READ = ",".join([*_FILMS.split(), *_PICTURES.split()])
_KNOWN = "MP4, MOV, MKV, WebM, AVI, MPEG, TS, WMV, FLV, OGV, MXF, DV and the like are read"
_PICTURE = "a picture, not a film: stylize image paints it"


def open_film(path: Path) -> InputContainer:
    """Open a video file, here or at an address. Raises InputError in one line."""
    try:
        # A name with a colon is a name, no protocol.
        file: Any = remote.opened(path) if isinstance(path, RemotePath) else f"file:{path}"
        return av.open(
            file,
            container_options={"protocol_whitelist": "file", "format_whitelist": _READ},
            metadata_errors="replace",
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        if not isinstance(path, RemotePath) and not os.access(path, os.R_OK):
            raise InputError(f"{path}: no permission to read it") from None
        with suppress(OSError):
            if not isinstance(path, RemotePath) and path.stat().st_size == 0:
                raise InputError(f"{path}: the file is empty") from None
        if isinstance(error, av.ArgumentError):  # FFmpeg's word for what is not on the list
            what = _PICTURE if _is_picture(path) else f"a playlist, or no film at all ({_KNOWN})"
            raise InputError(f"{path}: {what}") from None
        known = isinstance(error, av.InvalidDataError | PermissionError)
        why = "" if known else f" ({getattr(error, 'strerror', None) or error})"
        raise InputError(f"{path}: not a video, or cut off before its index{why}") from None


def _is_picture(path: Path) -> bool:
    with suppress(Exception), Image.open(path, formats=readable_formats()):
        return True
    return False


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to paint: the first that is no cover picture. Raises InputError."""
    if container.format.name.endswith("_pipe"):
        raise InputError(f"{path}: {_PICTURE}")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise InputError(f"{path}: there is no decoder for its video")
            return stream
    raise InputError(f"{path}: there is no video in it")
