"""Small, valid ICC profiles written by hand: no profile files are shipped or needed."""

from __future__ import annotations

import itertools
import struct

D50 = (0.9642, 1.0, 0.8249)


def _s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(*values)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    name = b"made for tests\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    tags = {b"desc": desc, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(*D50), **tags}
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I", start + len(body)) + b"lcms" + struct.pack(">I", 0x02100000)
    head += kind + space + connection + struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp"
    head += bytes(28) + _s15(*D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def wide_rgb() -> bytes:
    """Adobe RGB (1998): its green lies far outside sRGB, so that a missing conversion shows."""
    tags = {
        b"rXYZ": _xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": _xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": _xyz(0.14919, 0.06322, 0.74457),
    }
    tags |= {tag: _gamma(2.19921875) for tag in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def linear_grey() -> bytes:
    """Grey with gamma 1: the middle value is a light grey in sRGB (188 of 255)."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _gamma(1.0)})


def _lut(inputs: int, corners: bytes) -> bytes:
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([inputs, 3, 2, 0]) + _s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return head + ramp * inputs + corners + ramp * 3


def green_ink_cmyk() -> bytes:
    """CMYK whose cyan prints as green: nothing but this profile gives that colour."""
    corners = b""
    for cyan, magenta, yellow, black in itertools.product((0, 1), repeat=4):
        light = 0 if black else 255 - 60 * (cyan + magenta + yellow)
        corners += bytes([light, 128 if black else 128 - 70 * cyan + 60 * magenta, 128 + 60 * cyan])
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": _lut(4, corners)})


def one_way_rgb() -> bytes:
    """A scanner's RGB profile: to Lab only (and with a colour cast), nothing back."""
    corners = b""
    for red, green, blue in itertools.product((0, 1), repeat=3):
        corners += bytes([85 * (red + green + blue), 128 + 40 * (red - green), 128 - 50 * blue])
    return _profile(b"scnr", b"RGB ", b"Lab ", {b"A2B0": _lut(3, corners)})


def linear_rgb() -> bytes:
    """sRGB's primaries with gamma 1, as renderers write it."""
    tags = {
        b"rXYZ": _xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": _xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": _xyz(0.14307, 0.06061, 0.71410),
    }
    tags |= {tag: _gamma(1.0) for tag in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def display_p3() -> bytes:
    """Display P3, with sRGB's curve as a table."""
    ramp = [value / 1023 for value in range(1024)]
    light = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in ramp]
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1024)
    curve += b"".join(struct.pack(">H", round(v * 65535)) for v in light)
    tags = {
        b"rXYZ": _xyz(0.51512, 0.24120, -0.00105),
        b"gXYZ": _xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": _xyz(0.15710, 0.06657, 0.78407),
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)
