"""Whatever moves, as a source of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from stylecli.media.video.animation import AnimationSource, is_animation
from stylecli.media.video.clip import Clip, Excerpt, Frame
from stylecli.media.video.reading import VideoSource
from stylecli.media.video.sequence import SequenceSource, is_pattern

_MPEG = "mp4 m4v mov 3gp 3g2 mpg mpeg m2v m2ts mts ts vob"
_KINDS = f"{_MPEG} mkv webm avi divx wmv asf flv f4v ogv mxf gxf dv rm rmvb gif apng webp"
SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())
"""By which a folder's films are recognised."""


class Source(Protocol):
    """Frames, and what is known of them. ``warnings`` are complete once the last frame was taken."""

    clip: Clip
    warnings: list[str]

    def frames(self, skip: int = 0) -> Iterator[Frame]: ...


def open_source(path: Path, excerpt: Excerpt) -> Source:
    """A video file, an animated picture, numbered pictures or a folder of them. Raises InputError in one line."""
    if path.is_dir() or is_pattern(path):
        return SequenceSource(path, excerpt)
    if is_animation(path):
        return AnimationSource(path, excerpt)
    return VideoSource(path, excerpt)
