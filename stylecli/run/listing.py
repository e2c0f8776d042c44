"""Results whose format has no room for provenance (BMP, GIF, TGA ...): a hidden file in their folder lists them.

One line of JSON for each, with the digest of its bytes: a picture that somebody has edited since, or put there under
the same name, is not ours. Lines are only added, so that several runs may write into one folder; the last one counts.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from stylecli.files.cache import digest_of

log = logging.getLogger(__name__)

NAME = ".stylize-results"
_LARGEST = 64 << 20  # bytes of the file
_LONGEST = 1 << 20  # bytes of a line


def add(path: Path, provenance: str) -> None:
    """List the result at ``path`` with its ``provenance``. What cannot be listed is painted all the same."""
    try:
        line = _line(path.name, size=path.stat().st_size, sha256=digest_of(path), mark=provenance)
        with (path.parent / NAME).open("ab", buffering=0) as file:  # one write: other runs add lines too
            file.write(line + b"\n")
    except OSError as error:
        log.debug("%s is not listed in %s: %s", path, NAME, error)


def provenance_of(path: Path) -> str:
    """The provenance of the result at ``path``; empty where it is not listed, or has been changed. Never raises."""
    with suppress(OSError, ValueError, RecursionError):
        found = _last_entry(path.parent / NAME, path.name)
        if found and os.stat(path).st_size == found.get("size") and digest_of(path) == found.get("sha256"):  # noqa: PTH116
            return str(found.get("mark", ""))
    return ""


def _last_entry(listing: Path, name: str) -> dict[str, object]:
    """Of a name, as :func:`add` wrote it. Searched for as bytes: each of the thousands of results in a folder may
    ask for its own line."""
    with listing.open("rb") as file:
        text = file.read(_LARGEST)
    begin = _line(name)[:-1]
    at = len(text)
    while (at := text.rfind(begin, 0, at)) >= 0:
        with suppress(ValueError, RecursionError):
            entry = json.loads(text[at : at + _LONGEST].split(b"\n", 1)[0])
            if isinstance(entry, dict):
                return entry
    return {}


def _line(name: str, **said: object) -> bytes:
    return json.dumps({"name": name, **said}).encode()
