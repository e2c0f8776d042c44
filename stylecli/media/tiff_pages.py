"""Which pages of a TIFF are pictures, and the samples of those that Pillow does not decode, or decodes with 8 bits."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylecli.media.ifd import SUB_POINTER, Directory, IfdError, IfdReader, directory_bytes, numbers_field

_ORIENTATION = 274
_REDUCED, _MASK = 1, 4  # of the field that says what kind of page it is
_SENSOR = (32803, 34892)  # colour filter array, linear raw: photometric interpretations of cameras' own files
_STRIPS, _TILES = (273, 279), (324, 325)
_UNTOUCHED = (258, 262, 277, 284, 338, 339, 34675, 330, 34665, 34853)  # told anew for a single plane


@dataclass(frozen=True)
class TiffPageFound:
    """Its number in the file, where its directory lies, and the directory."""

    number: int
    offset: int
    directory: Directory

    def value(self, tag: int, default: int = 0) -> int:
        field = self.directory.get(tag)
        return default if field is None else field.first(default)

    @property
    def pixels(self) -> int:
        return self.value(256) * self.value(257)

    @property
    def samples(self) -> int:
        return self.value(277, 1)

    @property
    def is_float(self) -> bool:
        return self.value(339, 1) == 3

    @property
    def planar(self) -> bool:
        """Whether each colour lies by itself."""
        return self.value(284, 1) == 2 and self.samples > 1


@dataclass(frozen=True)
class TiffPages:
    """``pages`` are those to paint; ``camera`` names the maker whose raw file this is; ``reduced`` counts smaller
    copies of pages, which are left out."""

    pages: tuple[TiffPageFound, ...]
    camera: str | None = None
    reduced: int = 0
    first: Directory | None = None  # of a camera's raw file


def find_pages(stream: BinaryIO) -> TiffPages | None:
    """None where the file is no TIFF."""
    try:
        reader = IfdReader(stream)
        chain = [TiffPageFound(n, at, directory) for n, (at, directory) in enumerate(reader.chain())]
    except IfdError:
        return None
    inner = [directory for page in chain for directory in _inner(reader, page.directory)]
    raw = any(_first(d, 262) in _SENSOR for d in (*(page.directory for page in chain), *inner))
    if chain and (raw or 50706 in chain[0].directory):  # DNGVersion
        maker = chain[0].directory.get(271)
        return TiffPages((), camera=(maker.text if maker else "") or "a camera", first=chain[0].directory)
    whole = tuple(
        page for page in chain if not (page.value(254) & (_REDUCED | _MASK) or page.value(255) == 2)
    )
    return TiffPages(whole or tuple(chain[:1]), reduced=len(chain) - len(whole) if whole else 0)


def _inner(reader: IfdReader, directory: Directory) -> list[Directory]:
    found = []
    field = directory.get(SUB_POINTER)
    for at in field.numbers()[:16] if field is not None else ():
        try:
            found.append(reader.read(int(at))[0])
        except IfdError:
            continue
    return found


def _first(directory: Directory, tag: int) -> int:
    field = directory.get(tag)
    return 0 if field is None else field.first()


def read_samples(stream: BinaryIO, page: TiffPageFound) -> npt.NDArray[Any] | None:
    """(H, W, 3 or 4), uint16 or float32, as they are in the file, alpha not multiplied into colours; None where they
    are of another kind, or cannot be decoded."""
    bits = page.directory.get(258)
    depths = set(bits.numbers()) if bits is not None else {1}
    wanted = {16, 32} if page.is_float else {16}
    if len(depths) != 1 or not depths <= wanted or page.samples not in (3, 4) or page.value(262) != 2:
        return None
    stream.seek(0)
    data = bytearray(stream.read())
    if _is_big(data) and (page.planar or page.value(_ORIENTATION, 1) != 1):
        return None
    if page.planar:
        planes = [_plane(data, page, number) for number in range(page.samples)]
        if any(plane is None for plane in planes):
            return None
        values: npt.NDArray[Any] | None = np.stack([p for p in planes if p is not None], axis=-1)
    else:
        values = decoded(_alone(data, page, dict(page.directory)))
    if values is None or values.shape[2:] != (page.samples,):
        return None
    extra = page.directory.get(338)
    if page.samples == 4 and (extra is None or extra.first() not in (1, 2)):
        values = np.ascontiguousarray(values[..., :3])  # a fourth sample that is no alpha
    elif page.samples == 4 and extra is not None and extra.first() == 1:
        values = _divided(values)
    return values


def decoded(data: bytes | bytearray) -> npt.NDArray[Any] | None:
    """By OpenCV: (H, W, C) uint16 or float32, in the order R, G, B, A; None for another kind and for damage."""
    import cv2

    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(before)
    if found is None or found.ndim != 3 or found.shape[2] not in (3, 4):
        return None
    values: npt.NDArray[Any] = found
    if values.dtype not in (np.uint16, np.float32):
        return None
    code = cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    cv2.cvtColor(values, code, dst=values)  # in place
    return values


class PageStream:
    """A TIFF read as if another page were its first: Pillow finds none behind a damaged one."""

    def __init__(self, stream: BinaryIO, offset: int) -> None:
        self._stream = stream
        stream.seek(0)
        self._head = _starting_at(stream.read(16), offset)
        self.seek, self.tell = stream.seek, stream.tell
        with suppress(OSError, AttributeError):  # a file: libtiff reads it itself, by the page's own offset
            stream.fileno()
            self.fileno = stream.fileno
        stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        at = self.tell()
        data = self._stream.read(size)
        if at >= len(self._head):
            return data
        patched = self._head[at : at + len(data)]
        return patched + data[len(patched) :]


def _starting_at(data: bytes, offset: int) -> bytes:
    """The same file with another page as its first."""
    order = "<" if data[:2] == b"II" else ">"
    if _is_big(data):
        return data[:8] + struct.pack(f"{order}Q", offset) + data[16:]
    return data[:4] + struct.pack(f"{order}I", offset) + data[8:]


def _alone(data: bytearray, page: TiffPageFound, fields: Directory) -> bytearray:
    """``data`` itself, with these fields as its only directory, and its pixels as they lie: whoever decodes would turn
    them in his own way. Of a TIFF over 4 GB the page as it is."""
    if _is_big(data):
        data[:16] = _starting_at(bytes(data[:16]), page.offset)
        return data
    fields.pop(_ORIENTATION, None)
    data += bytes(len(data) % 2)
    data[:8] = _starting_at(bytes(data[:8]), len(data))
    data += directory_bytes(fields, len(data))
    return data


def _is_big(data: bytes | bytearray) -> bool:
    return bool(struct.unpack(f"{'<' if data[:2] == b'II' else '>'}H", data[2:4])[0] == 43)


def _plane(data: bytearray, page: TiffPageFound, number: int) -> npt.NDArray[Any] | None:
    """One colour, as the grey picture that it is when its strips or tiles are named alone."""
    fields = {tag: field for tag, field in page.directory.items() if tag not in _UNTOUCHED}
    order = next(iter(fields.values())).order
    for tags in (_STRIPS, _TILES):
        for tag in tags:
            if tag in fields:
                places = fields[tag].numbers()
                share = len(places) // page.samples
                part = places[number * share : (number + 1) * share]
                fields[tag] = numbers_field(fields[tag].kind, *part, order=order)
    depth = page.directory[258].first()
    for tag, value in ((258, depth), (262, 1), (277, 1), (284, 1), (339, 3 if page.is_float else 1)):
        fields[tag] = numbers_field(3, value, order=order)
    try:
        with Image.open(BytesIO(_alone(data, page, fields)), formats=["TIFF"]) as image:
            values = np.asarray(image)
    except MemoryError:
        raise
    except Exception:
        return None
    return values.astype(np.float32 if page.is_float else np.uint16) if values.ndim == 2 else None


def _divided(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Colours that were multiplied by alpha, as they were before."""
    white = 65535 if values.dtype == np.uint16 else 1
    alpha = np.maximum(values[..., 3:].astype(np.float32) / white, 1e-9)
    colours = np.clip(values[..., :3] / alpha, 0, white if values.dtype == np.uint16 else None)
    values = values.copy()
    values[..., :3] = np.rint(colours) if values.dtype == np.uint16 else colours
    return values
