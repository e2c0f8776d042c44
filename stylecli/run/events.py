"""What a run has to say while it works. The console turns these into lines, a bar, or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STREAM = Path("-")
"""Stands for stdin as a source and for stdout as a target."""


@dataclass(frozen=True)
class Started:
    """The model begins with this picture."""

    source: Path
    target: Path
    style: str


@dataclass(frozen=True)
class Done:
    """``target`` exists now, complete. ``seconds`` is the model's time, without reading and writing."""

    source: Path
    target: Path
    style: str
    seconds: float
    width: int
    height: int


@dataclass(frozen=True)
class FilmDone(Done):
    """A film: ``width`` and ``height`` are those of its frames."""

    frames: int
    bytes: int


@dataclass(frozen=True)
class Advanced:
    """A film has got this far. ``total`` is what is expected, None where nothing says."""

    source: Path
    style: str
    frames: int
    total: int | None
    rate: float  # frames a second in this run
    bytes: int  # of the result so far


@dataclass(frozen=True)
class Skipped:
    """Nothing to do for this one; ``reason`` says why."""

    source: Path
    target: Path
    style: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """This one could not be done, the rest goes on.

    ``target`` and ``style`` are None when the input itself was refused before it was paired with a style.
    """

    source: Path
    reason: str
    target: Path | None = None
    style: str | None = None
    out_of_memory: bool = False
    trace: str | None = None  # of an exception that nobody foresaw


@dataclass(frozen=True)
class NotBegun(Failed):
    """Given up unseen: what stopped an earlier one (a full disk) would stop this one too."""


@dataclass(frozen=True)
class Notice:
    """Worth knowing, nothing failed (for instance: only the first page of a document was taken)."""

    source: Path
    text: str


@dataclass(frozen=True)
class Warned(Notice):
    """The result is there, but not all that could be expected (for instance: a part of the input is damaged)."""


Event = Started | Advanced | Done | Skipped | Failed | Notice


@dataclass
class Tally:
    """Counts events. Every planned picture ends in exactly one of done, skipped and failed."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    not_begun: int = 0  # of those that failed
    out_of_memory: int = 0

    def add(self, event: Event) -> None:
        if isinstance(event, Done):
            self.done += 1
        elif isinstance(event, Skipped):
            self.skipped += 1
        elif isinstance(event, Failed):
            self.failed += 1
            self.not_begun += isinstance(event, NotBegun)
            self.out_of_memory += event.out_of_memory

    @property
    def exit_code(self) -> int:
        """0 without failures, 4 if memory alone was to blame for all of them, otherwise 1."""
        if not self.failed:
            return 0
        return 4 if self.out_of_memory == self.failed else 1
