"""Bars on a terminal: of the pictures of a run, and of downloads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from stylecli.console.lines import one_line
from stylecli.weights.progress import Download

if TYPE_CHECKING:
    from rich.progress import Progress

DOWNLOAD_LINE_S = 15.0  # between lines about a download, where there is no terminal for a bar


def picture_bar() -> Progress:
    """How many pictures are done, or frames."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.description}", markup=False),
        console=RichConsole(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _download_bar() -> Progress:
    from rich.console import Console as RichConsole
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=RichConsole(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


class Downloads:
    """A bar for the time of a download, or a plain line now and then; ``pause`` and ``resume`` the other bar."""

    def __init__(
        self,
        say: Callable[[str], None],
        pause: Callable[[], None],
        resume: Callable[[], None],
        *,
        quiet: bool,
    ) -> None:
        self.bar: Progress | None = None
        self._say, self._pause, self._resume, self._quiet = say, pause, resume, quiet
        self._said = 0.0

    def show(self, event: Download) -> None:
        if event.ended:
            self.stop()
        elif self._quiet:
            return
        elif not sys.stderr.isatty():
            now = time.monotonic()
            if now - self._said > DOWNLOAD_LINE_S:
                if self._said:
                    of = f" of {event.total / 1e6:,.1f}" if event.total else ""
                    self._say(f"{event.name}: {event.received / 1e6:,.1f}{of} MB")
                self._said = now
        else:
            if self.bar is None:
                self._pause()
                self.bar = _download_bar()
                self.bar.add_task(one_line(event.name), total=None)
                self.bar.start()
            self.bar.update(self.bar.task_ids[0], completed=event.received, total=event.total)

    def stop(self) -> None:
        self._said = 0.0
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
            self._resume()
