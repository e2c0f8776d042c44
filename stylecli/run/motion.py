"""What moves in a film, and how far that can be trusted: optical flow of each frame against the one before.

The flow is DIS (Kroeger et al., ECCV 2016) on small frames. It is trusted where forth and back agree and the input
looks the same at both ends; what is new, hidden, cut or too fast is not.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stylecli.media.video.clip import Frame, Pixels
from stylecli.run.parallel_map import in_order

Float = NDArray[np.float32]

_SIDE = 640  # flow is estimated at no more than this, on the longer side (0.07 s a frame; flicker is half more at 448)
_SAME = 16.0  # input levels (of 255) by which one place may differ between two frames, and count as the same
_LIGHT = 2.0  # levels by which the whole picture's light may change from frame to frame, at half the trust
_LEAST = 16  # pixels: smaller pictures are extended for the flow
_STILL = 0.1  # pixels; slower is taken for standing still, where the input agrees: nothing is resampled then
_CUT_SHARE = 0.35  # trusted part of the picture under which a new scene begins ...
_CUT_CHANGE = 12.0  # ... if the input also changes by this many levels on average


@dataclass(frozen=True)
class Motion:
    """How one frame follows from the one before.

    Attributes:
        flow: (h, w, 2) from each place of this frame to its place in the previous one, in pixels of (h, w).
        trust: (h, w) in 0..1. All zero after a cut.
        cut: a new scene begins here.
    """

    flow: Float
    trust: Float
    cut: bool


@dataclass(frozen=True)
class _Small:
    """A frame as the flow sees it: (h, w, 3) and (h, w)."""

    colours: NDArray[np.uint8]
    grey: NDArray[np.uint8]


class MotionEstimator:
    """Feeds on the input's frames in order and says how each moved. Only ``between`` may be called by several threads
    at the same time."""

    def __init__(self) -> None:
        self._own = threading.local()  # an object of OpenCV for each thread: it works in buffers of its own
        self._before: _Small | None = None

    def next(self, pixels: Pixels) -> Motion | None:
        """``pixels`` (H, W, 3) uint8 or uint16; None for the first frame."""
        before, now = self.pair(pixels)
        return None if before is None else self.between(before, now)

    def is_cut(self, pixels: Pixels) -> bool:
        """Whether ``next`` would say that a new scene begins here; much quicker."""
        before, now = self.pair(pixels)
        if before is None or _change(now.grey, before.grey) <= _CUT_CHANGE:
            return False
        return self.between(before, now).cut

    def pair(self, pixels: Pixels) -> tuple[_Small | None, _Small]:
        """The frame before, None for the first, and this one, for ``between``."""
        small = _small(pixels)
        now = _Small(small, np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8))
        before, self._before = self._before, now
        return before, now

    def _dis(self) -> Any:
        if not hasattr(self._own, "dis"):  # (cv2's type stubs do not know it.)
            self._own.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
        return self._own.dis

    def _flow(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> Float:
        h, w = now.shape
        if min(h, w) < _LEAST:  # DIS refuses such small ones
            edge = (0, max(0, _LEAST - h), 0, max(0, _LEAST - w), cv2.BORDER_REPLICATE)
            now, before = (np.asarray(cv2.copyMakeBorder(one, *edge), np.uint8) for one in (now, before))
        return np.ascontiguousarray(self._dis().calc(now, before, None)[:h, :w])

    def between(self, before: _Small, now: _Small) -> Motion:
        """How a frame follows from the one before; the same whichever thread asks."""
        back, forth = self._flow(now.grey, before.grey), self._flow(before.grey, now.grey)  # (h, w, 2)
        across, down = _parts(back)
        # Standing still is the better explanation wherever it explains the input as well.
        still = (np.abs(across) < _STILL) & (np.abs(down) < _STILL)
        still &= _difference(now.colours, before.colours) < _SAME / 2
        across[still] = down[still] = 0
        there = grid(across, down)
        returned = _parts(cv2.remap(forth, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        gap = _squared(across + returned[0], down + returned[1])
        length = _squared(across, down) + _squared(*returned)
        agrees = np.clip(1.5 - gap / (0.01 * length + 0.5), 0, 1)
        remapped = cv2.remap(before.colours, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        carried = np.asarray(remapped, np.uint8)
        difference = _difference(now.colours, carried)
        similar = np.clip(1.5 - difference / _SAME, 0, 1)
        h, w = agrees.shape
        # Beyond the edge nothing was painted: its last row, drawn on from frame to frame, would become streaks.
        inside = (there[0] >= 0) & (there[0] <= w - 1) & (there[1] >= 0) & (there[1] <= h - 1)
        # Light that changes slowly looks the same from frame to frame; the painting must not lag behind it.
        drift = max(abs(a - b) for a, b in zip(cv2.mean(now.colours), cv2.mean(carried), strict=True))
        trust = (agrees * similar * inside / (1 + (drift / _LIGHT) ** 4)).astype(np.float32)
        cut = _change(now.grey, before.grey) > _CUT_CHANGE and float(trust.mean()) < _CUT_SHARE
        # Doubt spreads a little: at the edge of what moves, flow is a guess. Then no hard seams.
        trust = (
            np.zeros_like(trust)
            if cut
            else np.asarray(cv2.blur(cv2.erode(trust, np.ones((3, 3))), (3, 3)), np.float32)
        )
        return Motion(np.asarray(cv2.merge([across, down]), np.float32), trust, cut)


def follow(frames: Iterable[Frame], threads: int) -> Generator[tuple[Frame, Motion | None]]:
    """Each frame with its motion, None for the first; so many motions are estimated at the same time, which changes
    none of them. A few frames are taken ahead of those that are given. To be closed when it is left early."""
    estimator = MotionEstimator()

    def pairs() -> Iterator[tuple[Frame, _Small | None, _Small]]:
        for frame in frames:
            yield frame, *estimator.pair(frame.pixels)

    def motion(task: tuple[Frame, _Small | None, _Small]) -> Motion | None:
        _, before, now = task
        return None if before is None else estimator.between(before, now)

    with closing(in_order(motion, pairs(), threads, "motion")) as followed:
        for (frame, *_), moved in followed:
            yield frame, moved


def _parts(flow: NDArray[Any]) -> tuple[Float, Float]:
    """(h, w, 2) to across and down, each (h, w): numpy is slow along an axis of two."""
    across, down = cv2.split(flow)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _squared(across: Float, down: Float) -> Float:
    """Squared lengths, (h, w)."""
    return across**2 + down**2


def grid(across: Float, down: Float, top: int = 0) -> tuple[Float, Float]:
    """Where each place of rows from ``top`` on comes from, as ``cv2.remap`` wants it: (x, y), each (h, w). ``across``
    and ``down``: how far it is from there, (h, w)."""
    h, w = across.shape
    x, y = np.arange(w, dtype=np.float32), np.arange(top, top + h, dtype=np.float32)
    return across + x, down + y[:, None]


def _small(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    h, w = pixels.shape[:2]
    scale = _SIDE / max(h, w)
    if scale >= 1:
        return pixels
    size = (max(16, round(w * scale)), max(16, round(h * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _change(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean difference of two grey pictures, in levels."""
    return float(cv2.mean(cv2.absdiff(a, b))[0])


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Float:
    """Mean difference over colours and a few pixels around, (h, w), in levels."""
    blurred = cv2.blur(cv2.absdiff(a, b), (5, 5))
    return np.asarray(cv2.transform(blurred, np.full((1, 3), 1 / 3, np.float32)), np.float32)
