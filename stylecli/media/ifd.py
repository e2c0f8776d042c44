"""Directories of tagged fields, as TIFF and EXIF have them: read and written byte for byte.

A field is kept as the bytes that it has in the file. So text stays in whatever encoding it is, and what nobody
understands stays what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
    129: 1,
}
_CODES = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_MOST_FIELDS = 4096  # of a directory; more is damage
_MOST_BYTES = 1 << 28  # of a field
_MOST_DIRECTORIES = 1 << 16
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER, SUB_POINTER = 34665, 34853, 40965, 330


class IfdError(Exception):
    """This is no TIFF, or it ends where a directory should be."""


@dataclass(frozen=True)
class Field:
    """One value or a row of them; ``data`` is as it lies in the file, ``order`` is ``<`` or ``>``."""

    kind: int
    count: int
    data: bytes
    order: str

    def numbers(self) -> tuple[Any, ...]:
        """Whole numbers or floats; (numerator, denominator) after one another for rationals; none for text."""
        if self.kind in (5, 10):
            return struct.unpack(f"{self.order}{2 * self.count}{'I' if self.kind == 5 else 'i'}", self.data)
        code = _CODES.get(self.kind)
        return () if code is None else struct.unpack(f"{self.order}{self.count}{code}", self.data)

    def ordered(self, order: str) -> Field:
        """The same with its bytes in another order."""
        if order == self.order:
            return self
        numbers = self.numbers()
        if not numbers:
            return replace(self, order=order)
        code = {5: "I", 10: "i"}.get(self.kind) or _CODES[self.kind]
        return replace(self, order=order, data=struct.pack(f"{order}{len(numbers)}{code}", *numbers))

    def first(self, default: int = 0) -> int:
        """The first whole number."""
        found = self.numbers()
        return int(found[0]) if found else default

    @property
    def text(self) -> str:
        return self.data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


Directory = dict[int, Field]


def text_field(text: str, order: str = "<") -> Field:
    data = text.encode() + b"\0"
    return Field(ASCII, len(data), data, order)


def numbers_field(kind: int, *values: int, order: str = "<") -> Field:
    """Of whole numbers; for RATIONAL numerators and denominators after one another."""
    code = "I" if kind == RATIONAL else _CODES[kind]
    return Field(
        kind,
        len(values) // (2 if kind == RATIONAL else 1),
        struct.pack(f"{order}{len(values)}{code}", *values),
        order,
    )


def bytes_field(data: bytes, order: str = "<", kind: int = UNDEFINED) -> Field:
    return Field(kind, len(data), data, order)


class IfdReader:
    """The directories of a TIFF, or of the block after ``Exif\\0\\0``. Raises IfdError where it is neither.

    ``damaged`` collects the numbers of fields that lie outside of the file or have no known kind; they are left out.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        head = self._at(0, 16)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        if not self.order or len(head) < 8:
            raise IfdError
        (magic,) = struct.unpack(f"{self.order}H", head[2:4])
        self.big = magic == 43
        if magic not in (42, 43) or (self.big and len(head) < 16):
            raise IfdError
        self.first = struct.unpack(
            f"{self.order}{'Q' if self.big else 'I'}", head[8:16] if self.big else head[4:8]
        )[0]
        self.damaged: list[int] = []

    def chain(self) -> Iterator[tuple[int, Directory]]:
        """(Offset, directory) of one page after the other; ends at damage and at a loop."""
        seen: set[int] = set()
        at = self.first
        while at and at not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(at)
            try:
                directory, following = self.read(at)
            except IfdError:
                if len(seen) == 1:
                    raise
                return
            yield at, directory
            at = following

    def read(self, at: int) -> tuple[Directory, int]:
        """The directory there, and where the next one is (0: nowhere). Raises IfdError."""
        size, place, wide = (20, 8, "Q") if self.big else (12, 4, "I")
        counter = "Q" if self.big else "H"
        (count,) = struct.unpack(f"{self.order}{counter}", self._exactly(at, struct.calcsize(counter)))
        at += struct.calcsize(counter)
        if count > _MOST_FIELDS:
            raise IfdError
        table = self._at(at, count * size)
        found: Directory = {}
        for row in range(0, len(table) - size + 1, size):
            value = table[row + size - place : row + size]
            tag, kind, length = struct.unpack(f"{self.order}HH{wide}", table[row : row + size - place])
            total = _SIZES.get(kind, 0) * length
            if kind not in _SIZES or total > _MOST_BYTES:
                self.damaged.append(tag)
                continue
            if total > len(value):
                value = self._at(struct.unpack(f"{self.order}{wide}", value)[0], total)
            if len(value) < total:
                self.damaged.append(tag)
                continue
            found[tag] = Field(kind, length, value[:total], self.order)
        rest = self._at(at + count * size, place)
        following = struct.unpack(f"{self.order}{wide}", rest)[0] if len(rest) == place else 0
        return found, int(following)

    def inner(self, directory: Directory, pointer: int) -> Directory:
        """The directory that a field of another one points to; empty where there is none or it is damaged."""
        field = directory.get(pointer)
        if field is None:
            return {}
        try:
            return self.read(field.first())[0]
        except IfdError:
            self.damaged.append(pointer)
            return {}

    def _at(self, at: int, size: int) -> bytes:
        try:
            self._stream.seek(at)
            return self._stream.read(size)
        except (ValueError, OverflowError) as error:  # an offset of 64 bits that is none
            raise IfdError from error

    def _exactly(self, at: int, size: int) -> bytes:
        data = self._at(at, size)
        if len(data) < size:
            raise IfdError
        return data


def directory_bytes(directory: Mapping[int, Field], start: int, following: int = 0) -> bytes:
    """A directory and what its fields hold, to lie at ``start`` of a classic TIFF; even in length."""
    order = next(iter(directory.values())).order if directory else "<"
    table = struct.pack(f"{order}H", len(directory))
    at = start + 2 + 12 * len(directory) + 4
    body = b""
    for tag in sorted(directory):
        field = directory[tag]
        table += struct.pack(f"{order}HHI", tag, field.kind, field.count)
        if len(field.data) <= 4:
            table += field.data.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}I", at + len(body))
            body += field.data + bytes(len(field.data) % 2)
    return table + struct.pack(f"{order}I", following) + body
