"""How much a film flickers: what is left when the motion of its input is taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stylecli.run.motion import grid

Picture = NDArray[np.float32]
_CUT = 30.0  # levels by which two frames differ on average: a new scene, not flicker
_TOLERANCE, _LEAST = (
    0.01,
    0.5,
)  # of forth-and-back flow: beyond it a place is hidden (Sundaram et al., ECCV 2010)


class WarpingError:
    """Mean absolute difference, in levels of 255, between each frame and the one before it carried along by the
    input's flow, over places seen in both (as in Lai et al., ECCV 2018, but not squared: a few places would decide).

    The flow is DIS at the frames' own size, both ways; the places are chosen anew here, by flow alone, whatever the
    temporal step trusts. Cubic, because linear interpolation would carry a softer picture, and the crisper a film, the
    more of that would count as flicker.
    """

    def __init__(self) -> None:
        self._dis: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]

    def of(self, inputs: Iterable[NDArray[np.uint8]], films: Iterable[tuple[Picture, ...]]) -> list[float]:
        """For each of several films made from ``inputs``: their frames come side by side, (H, W, 3) in 0..255."""
        errors: list[list[float]] = []
        before: tuple[NDArray[np.uint8], tuple[Picture, ...]] | None = None
        for shown, frames in zip(inputs, films, strict=True):
            if before is not None and _change(before[0], shown) < _CUT:
                errors.append(list(self._pair(before[0], shown, before[1], frames)))
            before = shown, frames
        return np.mean(errors, axis=0).tolist() if errors else []

    def _pair(
        self,
        earlier: NDArray[np.uint8],
        now: NDArray[np.uint8],
        before: tuple[Picture, ...],
        frames: tuple[Picture, ...],
    ) -> Iterator[float]:
        greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (earlier, now)]
        back = self._dis.calc(greys[1], greys[0], None)  # (H, W, 2)
        forth = self._dis.calc(greys[0], greys[1], None)
        x, y = grid(back[..., 0], back[..., 1])
        returned = np.asarray(cv2.remap(forth, x, y, cv2.INTER_LINEAR))
        gap = ((back + returned) ** 2).sum(2)
        H, W = greys[0].shape
        seen = gap < _TOLERANCE * ((back**2).sum(2) + (returned**2).sum(2)) + _LEAST
        seen &= (x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)
        for old, new in zip(before, frames, strict=True):
            carried = np.asarray(cv2.remap(old, x, y, cv2.INTER_CUBIC))
            yield float(np.abs(new - carried).mean(2)[seen].mean())


def crispness(picture: Picture) -> float:
    """Mean difference between neighbours, in levels."""
    return float(np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture, axis=1)).mean())


def _change(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
