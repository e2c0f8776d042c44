"""HDR to SDR: PQ and HLG in BT.2020 (ITU-R BT.2100-2) become BT.709, for painting and for every screen.

PQ is light on a screen as it is. HLG is light in the scene: a system gamma of 1.2 gives the light on a screen of
1000 cd/m² (BT.2100-2, table 5). SDR's white stands at 203 cd/m² (BT.2408-7), where HDR has its diffuse white; what is
brighter is bent under it by the roll-off of BT.2390-11, 5.4.1, on the largest of the three colours, so that hues
stay. Then BT.2020's primaries become BT.709's (BT.2087-0), and light the signal of a screen of gamma 2.4 (BT.1886).
"""

from __future__ import annotations

import struct
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

from stylecli.media.video.colour import Colour

Float = NDArray[np.float32]

SDR = Colour(1, 1, 1, 1)  # limited range, BT.709 throughout
_USUAL_PEAK = 1000.0  # cd/m², of a film that does not say
_WHITE = 203.0
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2
_LUMA = np.array([0.2627, 0.6780, 0.0593])  # of BT.2020
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_STEPS = 4096  # of the table of gains, even in PQ's scale


class ToneMapper:
    """Frames of one film. ``peak``: the brightest that it was made for, in cd/m²."""

    def __init__(self, colour: Colour, peak: float = _USUAL_PEAK) -> None:
        codes = np.linspace(0, 1, 65536)
        self._is_hlg = colour.transfer_name == "HLG"
        if self._is_hlg:
            self._light = _hlg_scene(codes).astype(np.float32)  # 0..1, of the scene
            peak = _HLG_PEAK
        else:
            self._light = _pq_light(codes).astype(np.float32)  # cd/m²
        light = _pq_light(np.linspace(0, 1, _STEPS + 1))
        bent = _rolled_off(light, max(peak, _WHITE * 1.01))
        self._gain = (bent / np.maximum(light, 1e-6) / _WHITE).astype(np.float32)
        self._gain[0] = self._gain[1]
        self._place = (_pq_code(np.linspace(0, 1, 65536) ** 4 * 10000) * _STEPS).round().astype(np.uint16)
        self._signal = (np.linspace(0, 1, 65536) ** (1 / 2.4) * 65535 + 0.5).astype(np.uint16)

    def to_sdr(self, pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """(H, W, 3), full range, in HDR to the same in SDR."""
        light = self._light[pixels]
        if self._is_hlg:
            luma = np.maximum(light @ _LUMA.astype(np.float32), 1e-9)
            light *= (_HLG_PEAK * luma ** (_HLG_GAMMA - 1))[..., None]
        brightest = light.max(-1)
        # A fourth root spreads the dark part of 0..10,000 over the 65,536 places of a table.
        root = np.sqrt(np.sqrt(np.minimum(brightest / 10000, 1)))
        gain = self._gain[self._place[(root * 65535 + 0.5).astype(np.uint16)]]
        sdr = cv2.transform(light * gain[..., None], _TO_709)
        return self._signal[(np.clip(sdr, 0, 1) * 65535 + 0.5).astype(np.uint16)]


def peak_of(frame: av.VideoFrame) -> float:
    """What the frame says of its brightest, in cd/m²: content light level, else the mastering screen's."""
    said: Any = frame.side_data
    found: dict[Type, bytes] = {data.type: bytes(data) for data in said}
    level, screen = found.get(Type.CONTENT_LIGHT_LEVEL, b""), found.get(Type.MASTERING_DISPLAY_METADATA, b"")
    peaks = []
    if len(level) >= 4:
        peaks.append(struct.unpack_from("=I", level)[0])
    if len(screen) >= 88:
        numerator, denominator = struct.unpack_from("=ii", screen, 72)  # behind chromaticities, least light
        peaks.append(numerator / denominator if denominator > 0 else 0)
    for peak in peaks:
        if 100 <= peak <= 10000:
            return float(peak)
    return _USUAL_PEAK


def _hlg_scene(codes: NDArray[Any]) -> NDArray[Any]:
    """Inverse OETF of BT.2100-2, table 5: signal to light of the scene, both 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)


_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_light(codes: NDArray[Any]) -> NDArray[Any]:
    """EOTF of BT.2100-2, table 4: signal 0..1 to cd/m²."""
    root = codes ** (1 / _M2)
    return np.asarray(10000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1))


def _pq_code(light: NDArray[Any]) -> NDArray[Any]:
    """Its inverse."""
    power = (light / 10000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _rolled_off(light: NDArray[Any], peak: float) -> NDArray[Any]:
    """The EETF of BT.2390-11, 5.4.1: 0..peak to 0..203 cd/m², dark and middle tones as they are."""
    top = _pq_code(np.array(peak))
    most = _pq_code(np.array(_WHITE)) / top
    e1 = np.minimum(_pq_code(light) / top, 1)
    knee = 1.5 * most - 0.5
    t = np.maximum(e1 - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    )
    return _pq_light(np.where(e1 < knee, e1, spline) * top)
