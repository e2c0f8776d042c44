"""Temporal consistency: what moves in the photograph moves in the painting, and the rest stands still.

Each painted frame is blended with the previous result, carried along by the optical flow of the *input* (DIS; Kroeger
et al., ECCV 2016), wherever that flow can be trusted: forth and back must agree, and the input must look the same at
both ends. What is new, hidden, cut or too fast keeps the fresh painting, so nothing drags a ghost behind it.

Carrying resamples, and blending averages: together they would leave the picture about an eighth softer. So its fine
detail is raised step by step towards the energy that the fresh painting has there, and no further.

Painting does not depend on the frames before; only this step does. Weights and windows are our own decisions, tried on
three clips in three styles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_SIDE = 640  # flow is estimated at no more than this, on the longer side (0.07 s a frame; flicker is half more at 448)
_SAME = 16.0  # input levels (of 255) by which one place may differ between two frames, and count as the same
_LIGHT = 2.0  # levels by which the whole picture's light may change from frame to frame, at half the trust
_LEAST = 16  # pixels: smaller pictures are extended for the flow
_STILL = 0.1  # pixels; slower is taken for standing still, where the input agrees: nothing is resampled then
_CUT_SHARE = 0.35  # trusted part of the picture under which a new scene begins ...
_CUT_CHANGE = 12.0  # ... if the input also changes by this many levels on average
_FINE, _AROUND = 5, 9  # pixels: windows of the finest detail, and of the energy that it has
_CRISPER = 1.02  # most that detail is raised from one frame to the next
_FADING = 8.0  # levels between the painting's mean colours and those of what is carried, at half the strength


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


class MotionEstimator:
    """Feeds on the input's frames in order and says how each moved. Not to be shared between threads."""

    def __init__(self) -> None:
        # (cv2's type stubs do not know it.)
        self._dis: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
        self._before: tuple[NDArray[Any], NDArray[np.uint8]] | None = None

    def next(self, pixels: NDArray[Any]) -> Motion | None:
        """``pixels`` (H, W, 3) uint8 or uint16; None for the first frame."""
        small = _small(pixels)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        before, self._before = self._before, (small, grey)
        if before is None:
            return None
        return self._motion(before, (small, grey))

    def is_cut(self, pixels: NDArray[Any]) -> bool:
        """Whether ``next`` would say that a new scene begins here; much quicker."""
        small = _small(pixels)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        before, self._before = self._before, (small, grey)
        if before is None or _change(grey, before[1]) <= _CUT_CHANGE:
            return False
        return self._motion(before, (small, grey)).cut

    def _flow(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> Float:
        h, w = now.shape
        if min(h, w) < _LEAST:  # DIS refuses such small ones
            edge = (0, max(0, _LEAST - h), 0, max(0, _LEAST - w), cv2.BORDER_REPLICATE)
            now, before = (np.asarray(cv2.copyMakeBorder(one, *edge), np.uint8) for one in (now, before))
        return np.ascontiguousarray(self._dis.calc(now, before, None)[:h, :w])

    def _motion(
        self, before: tuple[NDArray[Any], NDArray[np.uint8]], now: tuple[NDArray[Any], NDArray[np.uint8]]
    ) -> Motion:
        back, forth = self._flow(now[1], before[1]), self._flow(before[1], now[1])  # (h, w, 2)
        # Standing still is the better explanation wherever it explains the input as well.
        still = (np.abs(back[..., 0]) < _STILL) & (np.abs(back[..., 1]) < _STILL)
        back[still & (_difference(now[0], before[0]) < _SAME / 2)] = 0
        there = grid(back)
        returned = np.asarray(
            cv2.remap(forth, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
        gap, length = _squared(back + returned), _squared(back) + _squared(returned)
        agrees = np.clip(1.5 - gap / (0.01 * length + 0.5), 0, 1)
        remapped = cv2.remap(before[0], *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        carried = np.asarray(remapped, np.uint8)
        difference = _difference(now[0], carried)
        similar = np.clip(1.5 - difference / _SAME, 0, 1)
        h, w = agrees.shape
        inside = (there[0] > -1) & (there[0] < w) & (there[1] > -1) & (there[1] < h)
        # Light that changes slowly looks the same from frame to frame; the painting must not lag behind it.
        drift = max(abs(a - b) for a, b in zip(cv2.mean(now[0]), cv2.mean(carried), strict=True))
        trust = (agrees * similar * inside / (1 + (drift / _LIGHT) ** 4)).astype(np.float32)
        cut = _change(now[1], before[1]) > _CUT_CHANGE and float(trust.mean()) < _CUT_SHARE
        # Doubt spreads a little: at the edge of what moves, flow is a guess. Then no hard seams.
        trust = (
            np.zeros_like(trust)
            if cut
            else np.asarray(cv2.blur(cv2.erode(trust, np.ones((3, 3))), (3, 3)), np.float32)
        )
        return Motion(back, trust, cut)


class Blender:
    """Feeds on painted frames and their motion, in order; gives steady ones. ``state`` is all it remembers."""

    def __init__(self, strength: float, state: Float | None = None) -> None:
        """``strength`` 0..1: how much of a trusted place comes from the previous result."""
        self.strength = strength
        self.state = state

    def next(self, painted: Float, motion: Motion | None) -> Float:
        """``painted`` (H, W, 3) in 0..1, to the same."""
        if self.state is None or motion is None or motion.cut:
            self.state = painted
            return painted
        H, W = painted.shape[:2]
        h, w = motion.trust.shape
        flow, trust = motion.flow, motion.trust
        if (h, w) != (H, W):
            flow = np.asarray(cv2.resize(flow, (W, H)), np.float32)
            flow[..., 0] *= W / w
            flow[..., 1] *= H / h
            trust = np.asarray(cv2.resize(trust, (W, H)), np.float32)
        carried = cv2.remap(self.state, *grid(flow), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        cv2.subtract(carried, painted, dst=carried)
        # Strokes that flicker leave the mean as it is; a style that fades into another does not, and is followed.
        fading = 255 * max(abs(mean) for mean in cv2.mean(carried))
        strength = np.float32(self.strength / (1 + (fading / _FADING) ** 4))
        blended = _add_scaled(painted, strength * trust, carried)
        _raise_detail(blended, towards=painted)
        self.state = np.clip(blended, 0, 1, out=blended)
        return self.state


class LayeredBlender:
    """The same of several paintings of each frame, which lie one below the other in one array."""

    def __init__(self, strength: float, layers: int, state: Float | None = None) -> None:
        states = [None] * layers if state is None else np.split(state, layers)
        self._blenders = [Blender(strength, one) for one in states]

    @property
    def state(self) -> Float | None:
        states = [one.state for one in self._blenders if one.state is not None]
        return np.concatenate(states) if states else None

    def next(self, painted: Float, motion: Motion | None) -> Float:
        """``painted`` (L H, W, 3) in 0..1, to the same."""
        parts = zip(self._blenders, np.split(painted, len(self._blenders)), strict=True)
        return np.concatenate([blender.next(part, motion) for blender, part in parts])


def _raise_detail(blended: Float, towards: Float) -> None:
    """Raise the fine detail of ``blended`` in place, by ``_CRISPER`` at most, to that of ``towards``; (H, W, 3)."""
    detail, wanted = (cv2.subtract(image, cv2.blur(image, (_FINE, _FINE))) for image in (blended, towards))
    energy, enough = (
        cv2.blur(_mean_of_colours(cv2.multiply(image, image)), (_AROUND, _AROUND)) + np.float32(1e-5)
        for image in (detail, wanted)
    )
    gain = np.clip(np.sqrt(enough / energy), 1, _CRISPER) - 1
    _add_scaled(blended, gain, detail, out=blended)


# numpy is slow along an axis of two or three; hence these.


def _add_scaled(image: Float, factor: Float, other: NDArray[Any], out: Float | None = None) -> Float:
    """``image + factor * other`` of (H, W, 3), (H, W) and (H, W, 3); ``other`` is overwritten."""
    cv2.multiply(other, cv2.merge([factor] * 3), dst=other)
    return np.asarray(cv2.add(image, other, dst=out), np.float32)


def _mean_of_colours(image: NDArray[Any]) -> Float:
    """(H, W, 3) to (H, W)."""
    return np.asarray(cv2.transform(image, np.full((1, 3), 1 / 3, np.float32)), np.float32)


def _squared(flow: Float) -> Float:
    """Squared lengths: (h, w, 2) to (h, w)."""
    return flow[..., 0] ** 2 + flow[..., 1] ** 2


def grid(flow: Float) -> tuple[Float, Float]:
    """Where each place comes from, as ``cv2.remap`` wants it: (x, y), each (h, w)."""
    h, w = flow.shape[:2]
    across, down = np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32)[:, None]
    return np.asarray(flow[..., 0] + across, np.float32), np.asarray(flow[..., 1] + down, np.float32)


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
    return _mean_of_colours(cv2.blur(cv2.absdiff(a, b), (5, 5)))
