"""What a weights file says of itself: its kind, format version, configuration, and a fingerprint of its numbers.

Nothing here imports torch. The fingerprint is computed from the bytes that are read for the numbers anyway: what a file
says of it is for people, for tools that change numbers leave it as it was. The rest of the metadata does not matter to
it, nor does the order of tensors.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylecli.errors import WeightsError
from stylecli.weights.content import HEADER_LIMIT

FORMAT = 1
"""Of the files that this version writes; it reads those and older ones."""


@dataclass(frozen=True)
class Identity:
    """What the header says; None where the file is older than the entry.

    Attributes:
        kind: of network, such as "style-rwkv". config: JSON text.
    """

    kind: str | None = None
    config: str | None = None


def identify(path: Path) -> Identity:
    """Read a file's header. Raises WeightsError, one line."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            return _identity(_header(file.read(min(length, HEADER_LIMIT))), path)
    except (OSError, ValueError, RecursionError, struct.error) as error:
        raise _unreadable(path, error) from None


def read(path: Path) -> tuple[Identity, bytes]:
    """All bytes of a file, read once, and what it says of itself. Raises WeightsError, one line."""
    try:
        data = path.read_bytes()
        identity = _identity(_header(data[8 : 8 + struct.unpack_from("<Q", data)[0]]), path)
        _fingerprints[_key(path)] = _fingerprint(data)
        return identity, data
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise _unreadable(path, error) from None


def fingerprint_of(path: Path) -> str:
    """Of a file's names, shapes and numbers, 16 hex digits. Raises WeightsError, one line."""
    if _key(path) not in _fingerprints:
        read(path)
    return _fingerprints[_key(path)]


_fingerprints: dict[tuple[str, int, int], str] = {}


def described(data: bytes, kind: str | None) -> dict[str, str]:
    """The metadata entries by which a file with these tensors (safetensors) says what it is."""
    entries = {"format": str(FORMAT), "fingerprint": _fingerprint(data)}
    return entries if kind is None else {"kind": kind, **entries}


def _key(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return WeightsError(f"{path}: weights cannot be read ({reason.splitlines()[0]})")


def _header(text: bytes) -> Mapping[str, Any]:
    """Raises ValueError."""
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("the header is not a table")
    return header


def _identity(header: Mapping[str, Any], path: Path) -> Identity:
    said = header.get("__metadata__") or {}
    if not isinstance(said, dict):
        raise ValueError("the metadata are not a table")
    written = said.get("format", FORMAT)
    version = FORMAT if written == "pt" else int(written)  # what other programs write: PyTorch's tensors
    if version > FORMAT:
        raise WeightsError(f"{path}: of format {version}, this version reads up to {FORMAT}: update stylecli")
    return Identity(said.get("kind"), said.get("config"))


def _fingerprint(data: bytes) -> str:
    (length,) = struct.unpack_from("<Q", data)
    header, numbers = _header(data[8 : 8 + length]), memoryview(data)[8 + length :]
    digest = hashlib.sha256()
    for name in sorted(header.keys() - {"__metadata__"}):
        entry = header[name]
        begin, end = entry["data_offsets"]
        digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
        digest.update(numbers[begin:end])
    return digest.hexdigest()[:16]
