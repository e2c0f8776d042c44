"""How far a film has got, beside its target: what a later run needs to go on as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylecli.files.atomic import atomic_path, write_error


@dataclass(frozen=True)
class Progress:
    """What is safe: ``frames`` in ``groups``, made by the run that ``job`` stands for."""

    job: str
    groups: int = 0
    frames: int = 0
    last_pts: int = 0
    last_duration: int = 0


class Journal:
    """A hidden folder beside ``target`` with its groups, the journal, and what the temporal step remembers.

    The journal is renamed into place after all that it speaks of is on disk, so that it is true at any moment.
    """

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f".{target.name}.stylize")
        self._file = self.folder / "journal.json"

    def read(self) -> Progress | None:
        """The last entry; None where there is none that can be used."""
        try:
            return Progress(**json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def state(self, progress: Progress) -> NDArray[np.float32] | None:
        """What the temporal step remembered at that point; (H, W, 3)."""
        path = self._state(progress)
        return np.load(path) if path.exists() else None

    def write(self, progress: Progress, state: NDArray[np.float32] | None) -> None:
        """Raises InputError where the place cannot be written."""
        if state is not None:
            buffer = BytesIO()  # np.save's own writing does not say why it fails
            np.save(buffer, state)
            with atomic_path(self._state(progress)) as temporary:
                temporary.write_bytes(buffer.getbuffer())
        with atomic_path(self._file) as temporary:
            temporary.write_text(json.dumps(asdict(progress)))
        for path in self.folder.glob("state-*.npy"):
            if path != self._state(progress):
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
        with suppress(OSError):
            shutil.rmtree(self.folder)

    def _state(self, progress: Progress) -> Path:
        return self.folder / f"state-{progress.groups:06d}.npy"
