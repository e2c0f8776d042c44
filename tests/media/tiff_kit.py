"""TIFFs that no library here writes: planes apart, floats, cameras' own files."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from stylecli.media.ifd import IfdReader, directory_bytes, numbers_field


def write(path: Path, values: np.ndarray, *, planar: bool, compression: str = "raw", **fields: int) -> None:
    """(H, W, C) of uint8, uint16 or float32; ``fields`` are further ones by number, ``t338=2``. Compressed strips are
    libtiff's own, of one plane each."""
    height, width, samples = values.shape
    planes = [values[..., c] for c in range(samples)] if planar else [values.reshape(height, -1)]
    strips = [strip for plane in planes for strip in _strips(np.ascontiguousarray(plane), compression)]
    per_plane = len(strips) // len(planes)
    rows = _rows(planes[0], compression) if compression != "raw" else height
    assert per_plane == -(-height // rows)
    body, places = b"", []
    for strip in strips:
        places.append(8 + len(body))
        body += strip + bytes(len(strip) % 2)
    kind = 3 if values.dtype == np.float32 else 1
    codes = {"raw": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8}
    directory = {
        256: numbers_field(4, width), 257: numbers_field(4, height),
        258: numbers_field(3, *[8 * values.itemsize] * samples), 259: numbers_field(3, codes[compression]),
        262: numbers_field(3, 2), 273: numbers_field(4, *places), 277: numbers_field(3, samples),
        278: numbers_field(4, rows), 279: numbers_field(4, *map(len, strips)),
        284: numbers_field(3, 2 if planar else 1), 339: numbers_field(3, *[kind] * samples),
    }  # fmt: skip
    directory |= {int(tag[1:]): numbers_field(3, value) for tag, value in fields.items()}
    start = 8 + len(body)
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + body + directory_bytes(directory, start))


def _grey(plane: np.ndarray, compression: str) -> bytes:
    data = BytesIO()
    Image.fromarray(plane).save(data, "TIFF", compression=compression)
    return data.getvalue()


def _rows(plane: np.ndarray, compression: str) -> int:
    reader = IfdReader(BytesIO(_grey(plane, compression)))
    return reader.read(reader.first)[0][278].first()


def _strips(plane: np.ndarray, compression: str) -> list[bytes]:
    if compression == "raw":
        return [plane.tobytes()]
    data = _grey(plane, compression)
    reader = IfdReader(BytesIO(data))
    directory, _ = reader.read(reader.first)
    return [
        data[at : at + size]
        for at, size in zip(directory[273].numbers(), directory[279].numbers(), strict=True)
    ]


def write_raw(path: Path, maker: str, *, dng: bool, photometric: int = 32803) -> None:
    """A camera's own file: a thumbnail in front, what the sensor saw behind it or in a directory below."""
    Image.new("RGB", (16, 12), (200, 30, 30)).save(path, "TIFF", tiffinfo={271: maker, 254: 1})
    data = path.read_bytes()
    reader = IfdReader(BytesIO(data))
    thumbnail, _ = reader.read(reader.first)
    at = len(data) + len(data) % 2
    sensor = {256: numbers_field(4, 32), 257: numbers_field(4, 24), 262: numbers_field(3, photometric)}
    sensor |= {254: numbers_field(4, 0), 258: numbers_field(3, 14), 259: numbers_field(3, 7)}
    below = directory_bytes(sensor, at)
    thumbnail[330] = numbers_field(4, at)
    if dng:
        thumbnail[50706] = numbers_field(1, 1, 4, 0, 0)
    head = data[:4] + struct.pack("<I", at + len(below)) + data[8:] + bytes(len(data) % 2)
    path.write_bytes(head + below + directory_bytes(thumbnail, at + len(below)))


_TO_LINEAR = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)  # XYZ to sRGB
NEUTRAL = (0.5, 1.0, 0.7)  # what the sensor makes of white


def write_dng(
    path: Path, pixels: np.ndarray, *, orientation: int = 1, when: str = "2025:06:01 10:00:00"
) -> None:
    """A raw file with all that a converter needs: a mosaic of what a sensor sees of sRGB ``pixels`` (H, W, 3) uint8."""
    values = pixels / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4) * NEUTRAL
    seen = np.rint(linear * 0.8 * 16383).astype("<u2")
    mosaic = seen[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 2]
    height, width = mosaic.shape

    def field(tag: int, kind: int, count: int, data: bytes) -> tuple[int, int, int, bytes]:
        return tag, kind, count, data

    def numbers(tag: int, kind: int, *given: int) -> tuple[int, int, int, bytes]:
        return field(tag, kind, len(given), struct.pack(f"<{len(given)}{'HI'[kind == 4]}", *given))

    def ratios(tag: int, kind: int, given: tuple[float, ...]) -> tuple[int, int, int, bytes]:
        return field(
            tag, kind, len(given), b"".join(struct.pack("<ii", round(v * 10000), 10000) for v in given)
        )

    def text(tag: int, said: str) -> tuple[int, int, int, bytes]:
        return field(tag, 2, len(said) + 1, said.encode() + b"\0")

    def directory(fields: list[tuple[int, int, int, bytes]], at: int) -> bytes:
        head, behind = struct.pack("<H", len(fields)), b""
        start = at + 2 + 12 * len(fields) + 4
        for tag, kind, count, data in sorted(fields):
            if len(data) > 4:
                value = struct.pack("<I", start + len(behind))
                behind += data + bytes(len(data) % 2)
            else:
                value = data.ljust(4, b"\0")
            head += struct.pack("<HHI", tag, kind, count) + value
        return head + bytes(4) + behind

    exif_at = 8 + mosaic.nbytes
    exif = directory([text(36867, when), numbers(34855, 3, 400)], exif_at)
    fields = [
        *(numbers(254, 4, 0), numbers(256, 4, width), numbers(257, 4, height), numbers(258, 3, 16)),
        *(numbers(259, 3, 1), numbers(262, 3, 32803), text(271, "Maker"), text(272, "Model 1")),
        *(numbers(273, 4, 8), numbers(274, 3, orientation), numbers(277, 3, 1), numbers(278, 4, height)),
        *(numbers(279, 4, mosaic.nbytes), numbers(33421, 3, 2, 2), field(33422, 1, 4, bytes((0, 1, 1, 2)))),
        *(numbers(34665, 4, exif_at), field(50706, 1, 4, bytes((1, 4, 0, 0))), text(50708, "Maker Model 1")),
        *(numbers(50714, 3, 0), numbers(50717, 4, 16383), ratios(50721, 10, _TO_LINEAR)),
        *(ratios(50728, 5, NEUTRAL), numbers(50778, 3, 21)),
    ]
    at = exif_at + len(exif)
    path.write_bytes(b"II*\0" + struct.pack("<I", at) + mosaic.tobytes() + exif + directory(fields, at))
