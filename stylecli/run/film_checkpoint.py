"""How far a film has got, beside its target: what a later run needs to go on as if nothing had happened.

Nothing is trusted unseen: it carries a digest of itself, of each group's files, and of what the temporal step
remembered. A run goes on after the last group up to which all is as it was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylecli.files.atomic import atomic_file, write_error
from stylecli.media.video.clip import Part


@dataclass(frozen=True)
class Progress:
    """What is safe: ``frames`` in ``groups``, made by the run that ``job`` stands for."""

    job: str
    groups: int = 0
    frames: int = 0
    last_pts: int = 0
    last_duration: int = 0


@dataclass(frozen=True)
class _Entry:
    """How far the film had got, the files of the last ``covers`` groups, and digests of these and of the state."""

    groups: int
    covers: int
    frames: int
    last_pts: int
    last_duration: int
    files: tuple[str, ...]
    digest: str
    state: str | None


class FilmCheckpoint:
    """A hidden folder beside ``target`` with its groups, the record of them, and what the temporal step remembers.

    The record is renamed into place after all that it speaks of is on disk, so that it is true at any moment.
    """

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f".{target.name}.stylize")
        self._file = self.folder / "journal.json"  # as in runs of older versions, which go on
        self._entries: list[_Entry] = []

    @property
    def is_damaged(self) -> bool:
        """Whether there is one that cannot be used."""
        return self._file.exists() and self.read() is None

    def read(self) -> Progress | None:
        """The last entry; None where there is none that can be used."""
        try:
            said = json.loads(self._file.read_text())
            if said.pop("digest") != _digest_of(_text(said).encode()):
                return None
            entries = [
                _Entry(groups, covers, frames, pts, duration, tuple(files), digest, state)
                for groups, covers, frames, pts, duration, files, digest, state in said.pop("parts")
            ]
            progress = Progress(**said)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        self._entries = entries
        return progress

    def checked(self, before: Progress, *, with_state: bool) -> Progress:
        """``before``, or the last entry up to which every file is as it was written."""
        good: list[_Entry] = []
        for entry in self._entries:
            found = _digest_of_files(self.folder / name for name in entry.files)
            if found is None or found != entry.digest:
                break
            good.append(entry)
        while good and with_state and not self._is_state_good(good[-1]):
            good.pop()
        self._entries = good
        if not good:
            return Progress(before.job)
        last = good[-1]
        return Progress(before.job, last.groups, last.frames, last.last_pts, last.last_duration)

    def state(self, progress: Progress) -> NDArray[np.float32] | None:
        """What the temporal step remembered at that point; (H, W, 3)."""
        path = self._state(progress.groups)
        return np.load(path) if path.exists() else None

    def write(self, progress: Progress, state: NDArray[np.float32] | None, part: Part) -> None:
        """Enter the groups that ``progress`` ends with. Raises InputError where the place cannot be written."""
        digest = None
        if state is not None:
            buffer = BytesIO()  # np.save's own writing does not say why it fails
            np.save(buffer, state)
            digest = _digest_of(buffer.getbuffer())
            with atomic_file(self._state(progress.groups)) as file:
                file.write(buffer.getbuffer())
        names = [os.path.relpath(path, self.folder) for path in part.files]  # so that all may be moved
        entry = _Entry(
            *(progress.groups, part.groups, progress.frames, progress.last_pts, progress.last_duration),
            *(tuple(names), _digest_of_files(self.folder / name for name in names) or "", digest),
        )
        before = progress.groups - part.groups
        self._entries = [*(one for one in self._entries if one.groups <= before), entry]
        said = asdict(progress) | {"parts": [astuple(one) for one in self._entries]}
        with atomic_file(self._file) as file:
            file.write(_text(said | {"digest": _digest_of(_text(said).encode())}).encode())
        # Of the last entry, and of those to go back to should files of the last be damaged.
        whole = [one for one in self._entries if one.covers > 1]
        kept = {self._state(one.groups) for one in (*self._entries[-2:], *whole[-1:])}
        for path in set(self.folder.glob("state-*.npy")) - kept:
            path.unlink(missing_ok=True)

    def begin(self) -> None:
        """An empty folder, whatever was there. Raises InputError where the place cannot be written."""
        self.remove()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(self.folder, error) from error

    def remove(self) -> None:
        """Once the film is whole. What cannot be removed is left alone."""
        self._entries = []
        with suppress(OSError):
            shutil.rmtree(self.folder)

    def _state(self, groups: int) -> Path:
        return self.folder / f"state-{groups:06d}.npy"

    def _is_state_good(self, entry: _Entry) -> bool:
        found = _digest_of_files([self._state(entry.groups)])
        return found is not None and found == entry.state


def _text(said: dict[str, object]) -> str:
    return json.dumps(said, sort_keys=True)


def _digest_of(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of_files(paths: Iterable[Path]) -> str | None:
    """Of all files one after the other, read in pieces: waiting frames are large; None where one is not there."""
    digest = hashlib.sha256()
    try:
        for path in paths:
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    except OSError:
        return None
    return digest.hexdigest()
