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
