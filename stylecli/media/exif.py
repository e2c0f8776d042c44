"""An EXIF block taken apart and put together again, each field as it was.

Pillow makes Latin-1 of all text while reading and ASCII of it while writing; here it stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO

from PIL import ExifTags, TiffTags

from stylecli.media.ifd import (
    EXIF_POINTER,
    GPS_POINTER,
    INTEROP_POINTER,
    LONG,
    Directory,
    IfdError,
    IfdReader,
    directory_bytes,
    numbers_field,
    text_field,
)

_PREFIX = b"Exif\0\0"
ORIENTATION = int(ExifTags.Base.Orientation)
_MAKER_NOTE = int(ExifTags.Base.MakerNote)
_WIDTH, _HEIGHT = int(ExifTags.Base.ExifImageWidth), int(ExifTags.Base.ExifImageHeight)
_POINTERS = frozenset({EXIF_POINTER, GPS_POINTER, INTEROP_POINTER})
# The kinds that a field may have whose usual kind is text, a whole number, or a fraction.
_ALIKE = ({1, 2, 7, 129}, {1, 3, 4, 6, 7, 8, 9, 13, 16, 17, 18}, {3, 4, 5, 8, 9, 10, 11, 12})


@dataclass(frozen=True)
class ExifBlock:
    """The fields of one picture, without those about thumbnails."""

    main: Directory = field(default_factory=dict)
    photo: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    interop: Directory = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    @property
    def order(self) -> str:
        return next((one.order for part in self._parts for one in part.values()), "<")

    @property
    def _parts(self) -> tuple[Directory, Directory, Directory, Directory]:
        return self.main, self.photo, self.gps, self.interop

    def without(self, tags: frozenset[int]) -> ExifBlock:
        """Without these of the main directory."""
        return replace(self, main={tag: value for tag, value in self.main.items() if tag not in tags})

    def with_text(self, tag: int, text: str) -> ExifBlock:
        """With a field of the main directory."""
        return replace(self, main=self.main | {tag: text_field(text, self.order)})

    def ordered(self, order: str) -> ExifBlock:
        """The same with its bytes in another order."""
        main, photo, gps, interop = (
            {tag: one.ordered(order) for tag, one in part.items()} for part in self._parts
        )
        return ExifBlock(main, photo, gps, interop)

    def tobytes(self) -> bytes:
        """``Exif\\0\\0`` and the block; nothing where it holds nothing."""
        if not any(self._parts[:3]):
            return b""
        head = b"II*\0\x08\0\0\0" if self.order == "<" else b"MM\0*\0\0\0\x08"
        return _PREFIX + head + self.directories(8)

    def directories(self, at: int, following: int = 0) -> bytes:
        """All directories, to lie at ``at`` of a TIFF whose next page is at ``following``."""
        order, main, tail = self.order, dict(self.main), b""
        inners = [(p, one) for p, one in ((EXIF_POINTER, self.photo), (GPS_POINTER, self.gps)) if one]
        for pointer, _ in inners:  # so that the length is right; what they say follows
            main[pointer] = numbers_field(LONG, 0, order=order)
        below = at + len(directory_bytes(main, at))
        for pointer, inner in inners:
            here = below + len(tail)
            main[pointer] = numbers_field(LONG, here, order=order)
            if pointer == EXIF_POINTER and self.interop:
                inner = inner | {INTEROP_POINTER: numbers_field(LONG, 0, order=order)}
                deeper = here + len(directory_bytes(inner, here))
                inner[INTEROP_POINTER] = numbers_field(LONG, deeper, order=order)
                tail += directory_bytes(inner, here) + directory_bytes(self.interop, deeper)
            else:
                tail += directory_bytes(inner, here)
        return directory_bytes(main, at, following) + tail


def read_exif(source: bytes | BinaryIO, directory: Directory | None = None) -> ExifBlock | None:
    """Take a block apart, or a ``directory`` of a TIFF; None where there is none that can be read."""
    stream = BytesIO(source.removeprefix(_PREFIX)) if isinstance(source, bytes) else source
    try:
        reader = IfdReader(stream)
        main = reader.read(reader.first)[0] if directory is None else dict(directory)
    except IfdError:
        return None
    photo, gps = reader.inner(main, EXIF_POINTER), reader.inner(main, GPS_POINTER)
    interop = reader.inner(photo, INTEROP_POINTER)
    damaged = [_name(tag) for tag in reader.damaged]
    for part in (main, photo, gps, interop):
        for tag in [tag for tag, one in part.items() if tag in _POINTERS or not _fits(tag, one.kind)]:
            del part[tag]
            if tag not in _POINTERS:
                damaged.append(_name(tag))
    if not (main or photo or gps):
        return None
    return ExifBlock(main, photo, gps, interop, tuple(dict.fromkeys(damaged)))


def exif_for_size(exif: bytes | None, width: int, height: int) -> ExifBlock | None:
    """The block ready to be written with a ``width`` × ``height`` picture; None when there is none."""
    block = read_exif(exif) if exif else None
    if block is None or not block.photo.keys() & {_WIDTH, _HEIGHT}:
        return block
    sizes = {
        tag: numbers_field(LONG, value, order=block.order)
        for tag, value in ((_WIDTH, width), (_HEIGHT, height))
    }
    return replace(block, photo=block.photo | sizes)


def shrunk_exif(block: ExifBlock, limit: int) -> bytes | None:
    """The block in at most ``limit`` bytes: without the maker's private note if need be, else None."""
    data = block.tobytes()
    if len(data) > limit:
        data = replace(block, photo=_without(block.photo, _MAKER_NOTE)).tobytes()
    return data if len(data) <= limit else None


def exif_with_provenance(exif: bytes | None, tag: int, text: str) -> bytes:
    """``exif`` with one more text in its main directory. What cannot be taken apart stays as it is."""
    block = read_exif(exif) if exif else ExifBlock()
    return exif or b"" if block is None else block.with_text(tag, text).tobytes()


def _without(directory: Mapping[int, object], tag: int) -> Directory:
    return {key: value for key, value in directory.items() if key != tag}  # type: ignore[misc]


def _fits(tag: int, kind: int) -> bool:
    """Whether a field has a kind that goes with its meaning, where that is known."""
    usual = TiffTags.TAGS_V2[tag].type if tag in TiffTags.TAGS_V2 else None
    alike = next(
        (kinds for kinds, of in zip(_ALIKE, ((2,), (1, 3, 4), (5, 10)), strict=True) if usual in of), None
    )
    return alike is None or kind in alike


def _name(tag: int) -> str:
    return str(ExifTags.TAGS.get(tag) or ExifTags.GPSTAGS.get(tag) or tag)
