"""What a person and a program see of a run."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from stylecli.console.bars import Downloads, picture_bar
from stylecli.console.lines import one_line, print_block, print_json
from stylecli.files.remote import RemotePath, as_path
from stylecli.run.events import (
    STREAM,
    Advanced,
    Done,
    Event,
    Failed,
    FilmDone,
    NotBegun,
    Notice,
    Skipped,
    Started,
    Tally,
    Warned,
)
from stylecli.weights.progress import listening, megabytes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from stylecli.run.plan import Task

ADVANCE_LINE_S = 30.0  # between lines about a film, where there is no terminal for a bar
_PROGRESS_S = 1.0  # between objects about a film's progress
_SCREEN = 20  # lines: what is further up may not be seen any more
_REPEATED = 20  # failures named once more at the end


class _Relay(logging.Handler):
    """Carries log records of our own rooms to a Console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        (self._console.detail if record.levelno < logging.INFO else self._console.say)(record.getMessage())


class Console:
    """Shows a run to a person and, if asked, to a program; counts what it shows in ``tally``.

    ``quiet`` leaves errors only; ``verbose`` adds details. Used as a context manager it draws a bar while
    stderr is a terminal; otherwise plain lines, one for each finished picture. ``made`` are the results it has shown.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, json_lines: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.tally = Tally()
        self._json = json_lines
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._begun = time.monotonic()
        self._first_started = 0.0
        self._last_failure: tuple[Path, str] | None = None
        self._failures: list[str] = []
        self._lines_since_failure = 0
        self.made: list[Path] = []
        self._films, self._total = False, 0
        self._numbers: dict[tuple[Path, str], int] = {}  # of films, as they were begun
        self._stdout_gone = self._stdout_failed = False
        self._relay = _Relay(self)
        self._open = ExitStack()
        self._downloads = Downloads(self.say, self._pause_bar, self._resume_bar, quiet=quiet)
        self._advance_said = 0.0
        self._progress_told: dict[tuple[Path, str], float] = {}
        self._moving: dict[tuple[Path, str], Advanced] = {}  # films that are being painted

    @property
    def exit_code(self) -> int:
        """Of the run so far; as ``Tally.exit_code``, and 1 where lines for a program were lost."""
        return self.tally.exit_code or int(self._stdout_failed)

    # Lines.

    def error(self, text: object) -> None:
        """Shown always."""
        self._line(one_line(text))

    def say(self, text: object) -> None:
        """Shown unless ``-q``."""
        if not self.quiet:
            self._line(one_line(text))

    def detail(self, text: object) -> None:
        """Shown with ``-v`` alone."""
        if self.verbose:
            self._line(one_line(text))

    def _line(self, text: str) -> None:
        self._lines_since_failure += 1
        bar = self._downloads.bar or self._bar
        if bar is not None:  # above the bar, without wrapping or reading [brackets] as markup
            with suppress(OSError):
                bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print_block(text)

    def _object(self, event: str, **fields: object) -> None:
        if not self._json or self._stdout_gone:
            return
        try:
            print_json({"event": event, **fields})
        except OSError as error:
            self._stdout_gone = True  # the pictures are wanted all the same
            if not isinstance(error, BrokenPipeError):  # then the reader has just seen enough
                self._stdout_failed = True
                self.error(f"stdout cannot be written ({error.strerror}): its JSON lines end here")

    # What a run has to say.

    def planned(self, task: Task) -> None:
        self.say(f"would write {task.target} from {task.source} in {task.style}")
        self._object("planned", source=task.source, target=task.target, style=task.style)

    def faces(self, source: Path, words: str, faces: Sequence[Sequence[float]], drawn: Path | None) -> None:
        """What was taken for faces in a picture, and where it is drawn."""
        self.say(f"{source}: {words}" + (f", drawn on {drawn}" if drawn else ""))
        self._object("faces", source=source, faces=[face[:4] for face in faces], drawn=drawn)

    def sheet(self, target: Path, text: str) -> None:
        """Pictures on one picture: ``text`` says which."""
        self.say(text)
        self._object("sheet", target=target)

    def show(self, event: Event) -> None:
        """Show one event of a run. Not to be called by two threads at once."""
        self.tally.add(event)
        if isinstance(event, Started):
            self._object("started", **_fields(event))
            self._working_on(event)
        elif isinstance(event, Advanced):
            self._advanced(event)
        elif isinstance(event, Done):
            self._object("done", **_fields(event))
            self.made.append(event.target)
            if self._bar is None or self.verbose:
                size = f"{event.width}x{event.height}"
                if isinstance(event, FilmDone):
                    size += f", {event.frames} frames, {megabytes(event.bytes)}"
                self.say(f"done {event.target} ({size}, {event.seconds:.2f} s)")
        elif isinstance(event, Skipped):
            self._object("skipped", **_fields(event))
            self.detail(f"skipped {event.source} in {event.style}: {event.reason}")
        elif isinstance(event, Failed):
            self._failed(event)
        elif isinstance(event, Warned):
            self._object("warning", **_fields(event))
            self.say(f"warning {_about(event.source, event.text)}")
        elif isinstance(event, Notice):
            self._object("notice", **_fields(event))
            self.detail(f"note {_about(event.source, event.text)}")
        if isinstance(event, Done | Failed | Skipped) and event.style is not None:
            self._moving.pop((event.source, event.style), None)
        counted = isinstance(event, Done | Failed) and not isinstance(event, FilmDone)
        if self._bar is not None and self._task is not None and counted:
            self._bar.update(self._task, advance=1, rate=self._rate())

    def _advanced(self, event: Advanced) -> None:
        """The bar counts the frames of the films being painted; without a terminal a line says so now and then."""
        size, now, film = megabytes(event.bytes), time.monotonic(), (event.source, event.style)
        if now - self._progress_told.get(film, 0.0) > _PROGRESS_S:
            told = {
                "source": event.source,
                "style": event.style,
                "frames": event.frames,
                "total": event.total,
            }
            self._object("progress", **told, rate=round(event.rate, 3))
            self._progress_told[film] = now
        if self._bar is not None and self._task is not None and not self._films:
            name = f"{one_line(event.source.name)} → {event.style}"
            self._bar.update(self._task, description=f"{name}, frame {event.frames} of {event.total}")
            return
        if self._bar is not None and self._task is not None:
            self._moving[film] = event
            all = self._moving.values()
            totals = [one.total for one in all]
            self._bar.update(
                self._task,
                completed=sum(one.frames for one in all),
                total=None if None in totals else sum(total or 0 for total in totals),
                rate=f"{sum(one.rate for one in all):.1f} frames/s, {megabytes(sum(one.bytes for one in all))}",
            )
            return
        if now - self._advance_said > ADVANCE_LINE_S:
            of = left = ""
            if event.total is not None:
                of = f" of {event.total}"
                left = f", {max(0, event.total - event.frames) / max(event.rate, 1e-9):.0f} s left"
            if self._advance_said:
                self.say(
                    _about(
                        event.source,
                        f"{self._which(event)}{event.frames}{of} frames, {event.rate:.2f}/s, {size}{left}",
                    )
                )
            self._advance_said = now

    def _failed(self, event: Failed) -> None:
        source, target, style, reason = event.source, event.target, event.style, event.reason
        self._object("failed", source=source, target=target, style=style, reason=reason)
        if isinstance(event, NotBegun):  # counted in the summary
            return
        # An unreadable input fails once for each style, with the same words: once is enough for a person.
        if (source, reason) != self._last_failure:
            self.error(f"failed {_about(source, reason)}")
            if not self._failures:
                self._lines_since_failure = 0
            self._failures.append(_about(source, reason))
            if event.trace is not None and self.verbose:
                print_block(event.trace)
        self._last_failure = (source, reason)

    def summary(self, *, interrupted: bool = False) -> None:
        """The last line: "18 done, 2 failed, 3 skipped in 12.3 s"."""
        seconds, tally = time.monotonic() - self._begun, self.tally
        counts = {"done": tally.done, "failed": tally.failed, "skipped": tally.skipped}
        said = counts | {"failed": tally.failed - tally.not_begun, "not begun": tally.not_begun}
        words = ", ".join(f"{count} {word}" for word, count in said.items() if count or word == "done")
        self._repeat_failures()
        self.say(f"{'interrupted: ' if interrupted else ''}{words} in {seconds:.1f} s{self._where()}")
        extra = {"interrupted": True} if interrupted else {}
        self._object("summary", **counts, seconds=round(seconds, 3), **extra)

    def _repeat_failures(self) -> None:
        """Those that have left the screen by now."""
        if self._lines_since_failure > _SCREEN and self._failures and not self.quiet:
            for text in self._failures[:_REPEATED]:
                self.say(f"failed {text}")
            if len(self._failures) > _REPEATED:
                self.say(f"and {len(self._failures) - _REPEATED} more")

    def _where(self) -> str:
        """Where the results are."""
        made = [path for path in self.made if path != STREAM]
        if not made:
            return ""
        if len(made) == 1:
            return f": {made[0]}"
        if all(isinstance(path, RemotePath) for path in made):
            return f", in {as_path(os.path.commonpath([path.parent for path in made]))}/"
        try:
            common = os.path.commonpath([path.absolute().parent for path in made])
            shown = os.path.relpath(common)
        except ValueError:  # on several drives
            return ""
        return f", in {common if shown.startswith('..') else shown}{os.sep}"

    # The bar.

    def start_bar(self, total: int, *, films: bool = False) -> None:
        """Draw a bar for ``total`` pictures, or for the frames of each of so many ``films``, if stderr is a terminal
        (and not ``-q``)."""
        self._films, self._total, self._numbers = films, total, {}
        if self.quiet or not sys.stderr.isatty():
            return
        self._bar = picture_bar()
        self._task = self._bar.add_task("loading", total=total, rate="")
        self._bar.start()

    def _which(self, event: Started | Advanced) -> str:
        """ "film 1 of 2: ", where there are several."""
        if not (self._films and self._total > 1):
            return ""
        return f"film {self._numbers.get((event.source, event.style), 1)} of {self._total}: "

    def _working_on(self, event: Started) -> None:
        self._numbers[event.source, event.style] = len(self._numbers) + 1
        if self._bar is None or self._task is None:
            return
        self._first_started = self._first_started or time.monotonic()
        self._bar.update(
            self._task, description=f"{self._which(event)}{one_line(event.source.name)} → {event.style}"
        )

    def _rate(self) -> str:
        """Pictures a second or seconds a picture, since the first was begun (loading does not count)."""
        if not self._first_started or not self.tally.done:
            return ""
        each = (time.monotonic() - self._first_started) / self.tally.done
        return f"{1 / each:.1f}/s" if each < 1 else f"{each:.1f} s each"

    def stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _pause_bar(self) -> None:
        """A terminal has room for one at a time."""
        if self._bar is not None:
            self._bar.stop()

    def _resume_bar(self) -> None:
        if self._bar is not None:
            self._bar.start()

    def __enter__(self) -> Console:
        log = logging.getLogger("stylecli")
        log.setLevel(logging.DEBUG if self.verbose else logging.INFO)
        log.addHandler(self._relay)
        self._open.enter_context(listening(self._downloads.show))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._downloads.stop()
        self.stop_bar()
        logging.getLogger("stylecli").removeHandler(self._relay)


def _fields(event: Started | Done | Skipped | Notice) -> dict[str, Any]:
    fields = dict(vars(event))
    if "seconds" in fields:
        fields["seconds"] = round(fields["seconds"], 4)
    return fields


def _about(source: Path, text: str) -> str:
    """``text`` with the name of the file it is about in front."""
    name = "stdin" if source == STREAM else str(source)
    return f"{name}: {text.removeprefix(f'{name}: ')}"
