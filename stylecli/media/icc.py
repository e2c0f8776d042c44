"""ICC profiles made of three curves and a matrix: read for sums in more than 8 bits, and written where a file names its
colours in another way. Everything else about profiles is left to LittleCMS (see ``colour``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stylecli.media.picture import FloatArray, WordArray
from stylecli.paint.pixels import strips

Matrix = npt.NDArray[np.float64]
Chromaticities = tuple[
    float, float, float, float, float, float, float, float
]  # x, y of white, red, green, blue

_D50 = np.array([0.9642, 1.0, 0.8249])
_SRGB: Matrix = np.array(  # to XYZ under D50
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_BRADFORD: Matrix = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_STEPS = 1 << 16
_ROOTS = (
    1 << 17
)  # of the tables that encode: evenly spaced in the square root, so that shadows have enough of them


def srgb_to_linear(values: FloatArray) -> FloatArray:
    """0..1 to 0..1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class MatrixProfile:
    """An RGB space next to sRGB, for 16-bit pixels.

    Attributes:
        curves: (3, 65536) float32, the light that each number stands for, 0..1, growing.
        matrix: (3, 3), its linear light to that of sRGB.
    """

    curves: FloatArray
    matrix: Matrix

    def to_srgb(self, pixels: WordArray) -> WordArray:
        """(H, W, 3) in this space to sRGB; what lies outside of it is clipped."""
        return _through(pixels, self.curves, self.matrix, _srgb_curves())

    def from_srgb(self, pixels: WordArray) -> WordArray:
        return _through(pixels, _srgb_curves(), np.linalg.inv(self.matrix).astype(np.float64), self.curves)


def matrix_profile(icc: bytes) -> MatrixProfile | None:
    """What an RGB profile says with curves and a matrix alone; None where it does not, or is damaged."""
    tags = _tags(icc)
    try:
        if icc[16:24] != b"RGB XYZ " or b"A2B0" in tags or b"A2B1" in tags:
            return None
        columns = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
        matrix = np.linalg.inv(_SRGB) @ columns
        white = matrix.sum(1, keepdims=True)
        if not (np.abs(white - 1) < 0.05).all() or abs(np.linalg.det(matrix)) < 1e-3:
            return None
        return MatrixProfile(curves, matrix / white)  # white stays exactly white
    except (KeyError, ValueError, IndexError, struct.error, np.linalg.LinAlgError):
        return None


def grey_table(icc: bytes) -> FloatArray | None:
    """sRGB values 0..1, (65536,), of all 16-bit numbers under a grey profile that is a curve; None for another."""
    tags = _tags(icc)
    try:
        if icc[16:24] != b"GRAYXYZ " or b"A2B0" in tags:
            return None
        curve = _curve(tags[b"kTRC"])
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    return linear_to_srgb(curve)


def linear_to_srgb(light: FloatArray) -> FloatArray:
    """0..1 to 0..1."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def make_profile(name: str, chromaticities: Chromaticities, curve: FloatArray | float) -> bytes:
    """A display profile: chromaticities, and a gamma or (N,) values of light, 0..1, for even steps of the numbers."""
    columns = _adapted(chromaticities)
    text = name.encode("ascii", "replace") + b"\0"
    if isinstance(curve, float):
        response = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256))
    else:
        response = b"curv\0\0\0\0" + struct.pack(">I", len(curve))
        response += np.rint(curve * 65535).astype(">u2").tobytes()
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0No copyright\0",
        b"wtpt": _xyz_tag(_D50),
        b"rXYZ": _xyz_tag(columns[:, 0]),
        b"gXYZ": _xyz_tag(columns[:, 1]),
        b"bXYZ": _xyz_tag(columns[:, 2]),
        b"rTRC": response,
    }
    table, body = b"", b""
    start = 128 + 4 + 12 * (len(tags) + 2)
    for tag, data in tags.items():
        at = start + len(body)
        for same in (tag, *((b"gTRC", b"bTRC") if tag == b"rTRC" else ())):  # one curve, named three times
            table += same + struct.pack(">II", at, len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI", start + len(body), b"\0\0\0\0", 0x02100000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _s15(_D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags) + 2) + table + body


def _adapted(chromaticities: Chromaticities) -> Matrix:
    """(3, 3): RGB of these primaries to XYZ, their white moved to D50 (Bradford)."""
    points = np.array(chromaticities, np.float64).reshape(4, 2)
    xyz = np.stack([points[:, 0], points[:, 1], 1 - points.sum(1)]) / points[:, 1]  # (3, 4), Y = 1
    white, primaries = xyz[:, 0], xyz[:, 1:]
    columns = primaries * np.linalg.solve(primaries, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: Matrix = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ columns
    return adapted


def _s15(values: npt.NDArray[np.float64]) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _xyz_tag(values: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(values)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """Name to content, of those that lie within the profile."""
    if len(icc) < 132:
        return {}
    (count,) = struct.unpack(">I", icc[128:132])
    found = {}
    for at in range(132, min(132 + 12 * count, len(icc) - 11), 12):
        name, start, size = struct.unpack(">4sII", icc[at : at + 12])
        if start + size <= len(icc):
            found[name] = icc[start : start + size]
    return found


def _xyz(tag: bytes) -> npt.NDArray[np.float64]:
    if tag[:4] != b"XYZ ":
        raise ValueError("no colour")
    return np.array(struct.unpack(">3i", tag[8:20])) / 65536


def _curve(tag: bytes) -> FloatArray:
    """(65536,): a tone curve of either kind, made to grow where it only stands still."""
    x = np.linspace(0, 1, _STEPS)
    if tag[:4] == b"curv":
        (count,) = struct.unpack(">I", tag[8:12])
        if count == 0:
            y = x
        elif count == 1:
            y = x ** (struct.unpack(">H", tag[12:14])[0] / 256)
        else:
            points = np.frombuffer(tag[12 : 12 + 2 * count], ">u2") / 65535
            if len(points) != count:
                raise ValueError("a curve that is cut short")
            y = np.interp(x, np.linspace(0, 1, count), points)
    elif tag[:4] == b"para":
        y = _parametric(x, tag)
    else:
        raise ValueError("no curve")
    if not np.isfinite(y).all() or y[-1] <= y[0] or (np.diff(y) < -1e-9).any():
        raise ValueError("a curve that falls")
    return np.clip(y, 0, 1).astype(np.float32)


def _parametric(x: npt.NDArray[np.float64], tag: bytes) -> npt.NDArray[np.float64]:
    (kind,) = struct.unpack(">H", tag[8:10])
    count = (1, 3, 4, 5, 7)[kind]
    g, a, b, c, d, e, f = [
        value / 65536 for value in struct.unpack(f">{count}i", tag[12 : 12 + 4 * count])
    ] + [0.0] * (7 - count)
    if kind == 0:
        return x**g
    power = np.maximum(a * x + b, 0) ** g
    if kind == 1:
        return np.where(x >= -b / a, power, 0)
    if kind == 2:
        return np.where(x >= -b / a, power + c, c)
    return np.where(x >= d, power + e, c * x + f)  # kinds 3 (e = f = 0) and 4


def _srgb_curves() -> FloatArray:
    return np.broadcast_to(srgb_to_linear(np.linspace(0, 1, _STEPS, dtype=np.float32)), (3, _STEPS))


def _through(pixels: WordArray, decode: FloatArray, matrix: Matrix, encode: FloatArray) -> WordArray:
    """(H, W, 3): curves, a matrix, and other curves backwards."""
    light = (np.linspace(0, 1, _ROOTS) ** 2).astype(np.float32)
    steps = np.arange(_STEPS, dtype=np.float32)
    tables = [np.rint(np.interp(light, curve, steps)).astype(np.uint16) for curve in encode]
    sums = matrix.T.astype(np.float32)
    result = np.empty_like(pixels)
    for top, bottom in strips(*pixels.shape[:2]):
        part = np.stack([decode[c][pixels[top:bottom, :, c]] for c in range(3)], axis=-1) @ sums
        at = np.sqrt(np.clip(part, 0, 1)) * np.float32(_ROOTS - 1)
        at = np.rint(at).astype(np.int32)
        for c in range(3):
            result[top:bottom, :, c] = tables[c][at[..., c]]
    return result
