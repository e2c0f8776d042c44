"""What may lie in a file of weights: safetensors, JSON, a SentencePiece vocabulary; never a pickle, whatever its name.

Looked at before any other code opens the file. Only a header is read, and JSON, which is small.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

SUFFIX = ".safetensors"
SUFFIXES = (SUFFIX, ".json", ".model")

HEADER_LIMIT = 16 << 20  # bytes; that of a network with 100,000 tensors fits, and parsing it takes a second
JSON_LIMIT = 64 << 20  # bytes

_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16} | {
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip


def problem_inside(path: Path, suffix: str | None = None) -> str | None:
    """What is wrong with the file's contents, worded to follow its name; None where nothing is.

    ``suffix`` says what it should be where its name does not (yet) tell. Raises OSError where it cannot be read.
    """
    suffix = path.suffix.lower() if suffix is None else suffix
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(512)
    foreign = _foreign(start)
    if foreign is not None:
        return f"is {foreign}, not weights"
    try:
        if suffix == SUFFIX:
            _check_safetensors(path, size)
        elif suffix == ".json":
            _check_json(path, size)
        elif not start.startswith(b"\n"):  # protobuf: field 1, the vocabulary
            raise ValueError("it does not begin as one")
    except (ValueError, RecursionError, struct.error) as error:
        kind = {SUFFIX: "a safetensors", ".json": "a JSON"}.get(suffix, "a SentencePiece")
        return f"is not {kind} file ({_brief(error)})"
    return None


def _foreign(start: bytes) -> str | None:
    """What the first bytes say it is, where that is something to keep away from."""
    if start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return "a pickle, which could run any code"
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "a zip archive (or a pickle in one)"
    if start[:2] == b"\x1f\x8b":
        return "a gzip archive"
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "a web page (a login, or an error?)"
    return None


def _check_safetensors(path: Path, size: int) -> None:
    """Raise ValueError unless the header fits into the file and its tensors fill the rest exactly."""
    with path.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8))[0] if size >= 8 else 0
        if size < 10:
            raise ValueError(f"only {size} bytes")
        if length > size - 8:
            raise ValueError("the header claims more bytes than the file has")
        if length > HEADER_LIMIT:
            raise ValueError(f"a header of {length:,} bytes")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("the header is not a table")
    header.pop("__metadata__", None)
    spans = sorted(_span(name, entry) for name, entry in header.items())
    end = 0
    for begin, stop in spans:
        if begin != end:
            raise ValueError("its tensors leave a gap or overlap")
        end = stop
    if 8 + length + end != size:
        raise ValueError(f"{size:,} bytes, its header describes {8 + length + end:,}")


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends, checked against its type and shape."""
    try:
        bits, shape, (begin, end) = _BITS.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError) as error:
        raise ValueError(f"tensor {name[:40]!r} is not described") from error
    numbers = [begin, end, *shape] if isinstance(shape, list) else [None]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"tensor {name[:40]!r} has an impossible shape or place")
    count = 1
    for side in shape:
        count *= side
        if count > 1 << 48:
            raise ValueError(f"tensor {name[:40]!r} is impossibly large")
    # Types that are newer than this list pass: their sizes are left to the library.
    if end < begin or (bits is not None and (end - begin) * 8 != count * bits):
        raise ValueError(f"tensor {name[:40]!r} has {end - begin:,} bytes, which its shape contradicts")
    return begin, end


def _check_json(path: Path, size: int) -> None:
    if size > JSON_LIMIT:
        raise ValueError(f"{size:,} bytes")
    if not isinstance(json.loads(path.read_bytes()), dict | list):
        raise ValueError("neither a table nor a list")


def _brief(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not text"
    return str(error).splitlines()[0]
