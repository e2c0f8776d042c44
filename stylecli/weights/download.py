"""One file from one of several addresses into a ``.part`` file, through whatever the network does meanwhile.

What has arrived is kept: the next attempt, of this process or a later one, asks for the rest alone. For that the
server has to name the same version of the file again, or the file's sha256 has to be known beforehand.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylecli.weights import progress
from stylecli.weights.addresses import host_of
from stylecli.weights.transport import Answer, Hiccup, Refused, request

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server; tests have less of it."""

    timeout_s: float = 20.0  # for a connection, for the head of the answer, for each wait for more of it
    attempts: int = 5  # in a row that bring next to nothing
    first_wait_s: float = 1.0  # doubled after each
    longest_wait_s: float = 120.0
    slow_rate: float = 1024.0  # bytes a second, over the time below
    slow_time_s: float = 15.0
    enough: int = 1 << 16  # bytes that make an attempt worth another one


PATIENCE = Patience()
LARGEST = 16 << 30  # bytes, of a file whose size the manifest does not give
_SPARE = 32 << 20  # bytes to leave free on the disk
_REPORT_S = 0.1


class Failed(Exception):
    """No address gave the file; ``str(error)`` says of each why not."""


@dataclass(frozen=True)
class Wanted:
    """What to fetch. ``problem_inside`` looks at the complete file and says what is wrong with it, or None."""

    name: str
    urls: Sequence[str]
    size: int | None
    sha256: str | None
    problem_inside: Callable[[Path], str | None]


def download(wanted: Wanted, part: Path, patience: Patience | None = None) -> str:
    """Bring the file to ``part``, complete and checked; its sha256. Nobody else may use ``part`` meanwhile.

    Raises Failed, and OSError where ``part`` cannot be written.
    """
    patience = PATIENCE if patience is None else patience
    complaints = []
    for url in wanted.urls:
        try:
            return _Source(wanted, url, part, patience).bring()
        except Refused as error:
            complaints.append(f"{host_of(url)}: {error}")
            if len(wanted.urls) > len(complaints):
                log.info(
                    "%s: %s; trying %s", wanted.name, complaints[-1], host_of(wanted.urls[len(complaints)])
                )
    raise Failed("; ".join(complaints))


def discard(part: Path) -> None:
    """Forget what has arrived."""
    for path in (part, _notes_path(part)):
        path.unlink(missing_ok=True)


class _Source:
    """One address, asked again and again."""

    def __init__(self, wanted: Wanted, url: str, part: Path, patience: Patience) -> None:
        self.wanted, self.url, self.part, self.patience = wanted, url, part, patience
        self._reported = 0.0

    def bring(self) -> str:
        failures, furthest = 0, _size_of(self.part)
        while True:
            try:
                return self._attempt()
            except Hiccup as error:
                # Bytes that were here before are no progress: some servers begin anew for ever.
                failures = 1 if _size_of(self.part) - furthest >= self.patience.enough else failures + 1
                furthest = max(furthest, _size_of(self.part))
                if error.restart:
                    discard(self.part)
                wait = self.patience.first_wait_s * 2 ** (failures - 1)
                wait = max(wait * random.uniform(0.8, 1.2), error.wait or 0)
                if failures >= self.patience.attempts:
                    raise Refused(f"{error} ({failures} attempts)") from None
                if wait > self.patience.longest_wait_s:
                    raise Refused(f"{error} and wants to be left alone for {wait:,.0f} s") from None
                log.info(
                    "%s: %s: %s; again in %.0f s", self.wanted.name, host_of(self.url), error, max(wait, 1)
                )
                time.sleep(wait)

    def _attempt(self) -> str:
        offset, validator = self._resume_point()
        digest = hashlib.sha256()
        if offset:
            _add_file(digest, self.part)
            if offset == self.wanted.size:  # complete: a process died before it could say so
                return self._accept(digest.hexdigest(), resumed=True)
        with request(self.url, offset, validator, self.patience.timeout_s) as answer:
            if offset and answer.offset == 0:
                digest = hashlib.sha256()
            elif offset and None not in (validator, answer.validator) and validator != answer.validator:
                raise Hiccup("has another version of the file by now", restart=True)
            self._check_size(answer)
            _write_notes(self.part, self.url, answer.validator)
            received = self._receive(answer, digest)
        total = self.wanted.size if self.wanted.size is not None else answer.total
        if total is not None and received < total:
            raise Hiccup(f"cut the connection after {received:,} of {total:,} bytes")
        return self._accept(digest.hexdigest(), resumed=answer.offset > 0)

    def _resume_point(self) -> tuple[int, str | None]:
        """From which byte to go on, and which version of the file that is."""
        have, notes = _size_of(self.part), _read_notes(self.part)
        validator = notes.get("validator") if notes.get("url") == self.url else None
        known = validator is not None or self.wanted.sha256 is not None
        if not have or not known or (self.wanted.size is not None and have > self.wanted.size):
            return 0, None
        return have, validator

    def _check_size(self, answer: Answer) -> None:
        size, total = self.wanted.size, answer.total
        if None not in (size, total) and size != total:
            raise Refused(f"has a file of {total:,} bytes instead of {size:,}")
        limit = size or total or 0
        if limit > LARGEST:
            raise Refused(f"has a file of {limit:,} bytes; the limit is {LARGEST:,}")
        free = shutil.disk_usage(self.part.parent).free
        if free < limit - answer.offset + _SPARE:
            raise OSError(f"{limit - answer.offset + _SPARE:,} bytes needed, {free:,} free")

    def _receive(self, answer: Answer, digest: Any) -> int:
        """Append the answer to the file; the number of bytes that are there afterwards."""
        limit = next(n for n in (self.wanted.size, answer.total, LARGEST) if n is not None)
        received = since = answer.offset
        begun = time.monotonic()
        with _open_part(self.part, answer.offset) as file:
            try:
                while data := answer.read():
                    received += len(data)
                    if received > limit:
                        raise Refused(f"sends more than {limit:,} bytes")
                    _write_all(file, data)
                    digest.update(data)
                    now = time.monotonic()
                    if now - begun >= self.patience.slow_time_s:
                        if (received - since) / (now - begun) < self.patience.slow_rate:
                            raise Hiccup(f"sends less than {self.patience.slow_rate:,.0f} bytes a second")
                        since, begun = received, now
                    self._report(received, limit if limit != LARGEST else None)
            except Refused:
                discard(self.part)
                raise
            os.fsync(file.fileno())
        return received

    def _accept(self, digest: str, *, resumed: bool) -> str:
        """``digest`` if the file is what was wanted; it is removed otherwise."""
        problem = None
        if self.wanted.sha256 is not None and digest != self.wanted.sha256:
            problem = f"sends a wrong file (sha256 {digest[:12]}… instead of {self.wanted.sha256[:12]}…)"
        elif (inside := self.wanted.problem_inside(self.part)) is not None:
            problem = f"sends a file that {inside}"
        if problem is None:
            _notes_path(self.part).unlink(missing_ok=True)
            return digest
        discard(self.part)
        if resumed:  # perhaps two versions were sewn together, or the part was damaged on the disk
            raise Hiccup(problem)
        raise Refused(problem)

    def _report(self, received: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_S:
            self._reported = now
            progress.report(progress.Download(self.wanted.name, received, total))


def _open_part(path: Path, offset: int) -> Any:
    """Unbuffered, so that nothing is lost with a process that is killed; never through a symbolic link."""
    flags = os.O_WRONLY | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_BINARY", "O_CLOEXEC"):
        flags |= getattr(os, name, 0)
    file = os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0)
    try:
        file.truncate(offset)
        file.seek(offset)
    except OSError:
        file.close()
        raise
    return file


def _write_all(file: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _add_file(digest: Any, path: Path) -> None:
    with path.open("rb") as stream:
        while data := stream.read(1 << 20):
            digest.update(data)


def _size_of(path: Path) -> int:
    """0 where there is no such file, or something else in its place."""
    return path.stat().st_size if path.is_file() and not path.is_symlink() else 0


def _notes_path(part: Path) -> Path:
    return part.with_name(part.name + "-notes")


def _write_notes(part: Path, url: str, validator: str | None) -> None:
    path = _notes_path(part)
    path.unlink(missing_ok=True)  # not through a link
    path.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _read_notes(part: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        notes = json.loads(_notes_path(part).read_text(encoding="utf-8"))
        if isinstance(notes, dict) and isinstance(notes.get("validator"), str | None):
            return notes
    return {}
