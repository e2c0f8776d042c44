"""Temporal consistency: what moves in the photograph moves in the painting, and the rest stands still.

Each painted frame is blended with the previous result, carried along by the motion of the *input*
(``stylecli/run/motion.py``), wherever that can be trusted; elsewhere the fresh painting stays, so that nothing drags a
ghost behind it.

Carrying resamples, and blending averages: together they would leave the picture about an eighth softer. So its fine
detail is raised step by step towards the energy that the fresh painting has there, and no further.

Painting does not depend on the frames before; only this step does. Weights and windows are our own decisions, tried on
three clips in three styles.

Frames are gone through in strips of rows: what one step leaves is still in the cache when the next one wants it, and
several threads may each take a strip. Where strips begin depends on the size alone, and they overlap by all that
blurring reaches, so that the picture is the same however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stylecli.paint.pixels import strips
from stylecli.run.motion import Motion, grid

Float = NDArray[np.float32]
_Result = TypeVar("_Result")
_Strip = tuple[int, int]  # its first row, and the one behind its last
Each = Callable[[Callable[[_Strip], Any], Iterable[_Strip]], Iterable[Any]]
"""``map``, or that of a pool of threads."""

_FINE, _AROUND = 5, 9  # pixels: windows of the finest detail, and of the energy that it has
_CRISPER = 1.02  # most that detail is raised from one frame to the next
_FADING = 8.0  # levels between the painting's mean colours and those of what is carried, at half the strength
_REACH = _FINE // 2 + _AROUND // 2  # rows above and below that detail depends on
_STRIP_PIXELS = 2**17  # half as many take a tenth longer, a whole frame at once a third


class Blender:
    """Feeds on painted frames and their motion, in order; gives steady ones. ``state``, the last one that it gave, is
    all it remembers. What it gave is never written to again."""

    def __init__(self, strength: float, state: Float | None = None, each: Each = map) -> None:
        """``strength`` 0..1: how much of a trusted place comes from the previous result. ``each`` works on strips, at
        the same time if it likes."""
        self.strength = strength
        self.state = state
        self._each = each
        self._spare: tuple[Float, Float] | None = None  # memory that would else be asked for with each frame

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
            trust = np.asarray(cv2.resize(trust, (W, H)), np.float32)
        all_strips = list(strips(H, W, _STRIP_PIXELS))
        if self._spare is None or self._spare[0].shape != painted.shape:
            self._spare = np.empty((H, W, 3), np.float32), np.empty((3, H, W), np.float32)
        (change, colours), state, result = self._spare, self.state, np.empty((H, W, 3), np.float32)

        def split(strip: _Strip) -> None:
            """Fill ``colours`` with the previous result's: OpenCV resamples three pictures of one colour in half of the
            time of one of three."""
            rows = slice(*strip)
            cv2.split(state[rows], [colour[rows] for colour in colours])

        def carry(strip: _Strip) -> tuple[float, ...]:
            """Fill ``change``: the previous result, carried here, less ``painted``. Returns the sums of its colours."""
            rows = slice(*strip)
            across, down = flow[rows, :, 0] * np.float32(W / w), flow[rows, :, 1] * np.float32(H / h)
            x, y = grid(across, down, strip[0])
            moved = [
                cv2.remap(one, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for one in colours
            ]
            cv2.subtract(cv2.merge(moved, dst=change[rows]), painted[rows], dst=change[rows])
            return cv2.sumElems(change[rows])[:3]

        self._all(split, all_strips)
        sums = np.sum(self._all(carry, all_strips), axis=0)
        # Strokes that flicker leave the mean as it is; a style that fades into another does not, and is followed.
        fading = 255 * float(np.abs(sums).max()) / (H * W)
        strength = np.float32(self.strength / (1 + (fading / _FADING) ** 4))

        def blend(strip: _Strip) -> None:
            """Fill ``result``."""
            top, bottom = max(0, strip[0] - _REACH), min(H, strip[1] + _REACH)
            inner = slice(strip[0] - top, strip[1] - top)
            fresh = painted[top:bottom]
            blended = _add_scaled(fresh, strength * trust[top:bottom], change[top:bottom])
            gain, detail = _lacking_detail(blended, fresh)
            raised = _add_scaled(blended[inner], gain[inner], detail[inner], out=result[slice(*strip)])
            np.clip(raised, 0, 1, out=raised)

        self._all(blend, all_strips)
        self.state = result
        return result

    def _all(self, work: Callable[[_Strip], _Result], all_strips: Iterable[_Strip]) -> list[_Result]:
        return list(self._each(work, all_strips))


class LayeredBlender:
    """The same of several paintings of each frame, which lie one below the other in one array."""

    def __init__(self, strength: float, layers: int, state: Float | None = None, each: Each = map) -> None:
        states = [None] * layers if state is None else np.split(state, layers)
        self._blenders = [Blender(strength, one, each) for one in states]

    def next(self, painted: Float, motion: Motion | None) -> Float:
        """``painted`` (L H, W, 3) in 0..1, to the same."""
        parts = zip(self._blenders, np.split(painted, len(self._blenders)), strict=True)
        return np.concatenate([blender.next(part, motion) for blender, part in parts])


def _lacking_detail(blended: Float, towards: Float) -> tuple[Float, Float]:
    """By how much the fine detail of ``blended`` is to be raised towards that of ``towards``, (h, w), and that detail;
    images are (h, w, 3)."""
    _, enough = _detail(towards)
    detail, energy = _detail(blended)
    gain = np.asarray(cv2.sqrt(cv2.divide(enough, energy)), np.float32)
    np.clip(gain, 1, _CRISPER, out=gain)
    gain -= 1
    return gain, detail


def _detail(image: Float) -> tuple[Float, Float]:
    """The fine detail of (h, w, 3), and its energy around each place, (h, w)."""
    detail = cv2.blur(image, (_FINE, _FINE))
    cv2.subtract(image, detail, dst=detail)
    of_colours = cv2.transform(cv2.multiply(detail, detail), np.full((1, 3), 1 / 3, np.float32))
    energy = np.asarray(cv2.blur(of_colours, (_AROUND, _AROUND)), np.float32)
    energy += np.float32(1e-5)
    return np.asarray(detail, np.float32), energy


def _add_scaled(image: Float, factor: Float, other: Float, out: Float | None = None) -> Float:
    """``image + factor * other`` of (h, w, 3), (h, w) and (h, w, 3). (numpy is slow along an axis of three.)"""
    scaled = cv2.merge([factor] * 3, dst=out)
    cv2.multiply(other, scaled, dst=scaled)
    return np.asarray(cv2.add(image, scaled, dst=scaled), np.float32)
