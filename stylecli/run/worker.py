"""A process that paints for another one: it holds the network with its styles encoded, is handed portions of paths,
and tells what comes of them. It ends when the other one says so, or is gone."""

from __future__ import annotations

import logging
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from stylecli.errors import OutOfMemoryError, StylizeError, is_out_of_memory
from stylecli.run.stages import POLL_S
from stylecli.run.stream import Portion, stream

if TYPE_CHECKING:
    from stylecli.run.images import ImageJob


@dataclass(frozen=True)
class Ready:
    """The network is loaded and the styles are encoded."""


@dataclass(frozen=True)
class Said:
    """A record of the log."""

    level: int
    text: str


@dataclass(frozen=True)
class Broken:
    """What ends the run; ``trace`` of an exception that nobody foresaw."""

    text: str
    kind: type[StylizeError] = StylizeError
    trace: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Broken:
        if isinstance(error, StylizeError):
            known = (kind for kind in type(error).__mro__ if kind.__module__ == StylizeError.__module__)
            return cls(str(error), next(known))
        if is_out_of_memory(error):
            return cls("not enough memory", OutOfMemoryError)
        return cls(f"{type(error).__name__}: {error}", trace="".join(traceback.format_exception(error)))

    def error(self) -> StylizeError:
        """As an exception of the process that hears of it."""
        return self.kind(self.text) if self.trace is None else StylizeError(f"a worker ended: {self.text}")


class Report(logging.Handler):
    """The way back; its records of the log go there too."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection, self._sending = connection, threading.Lock()
        self._held_back = self._stopped = False

    def send(self, message: object) -> None:
        main = threading.current_thread() is threading.main_thread()
        self._held_back |= main
        with self._sending:
            self._connection.send(message)
        if main:
            self._held_back = False
            if self._stopped:
                raise KeyboardInterrupt

    def stop(self, number: int, frame: object) -> None:
        """Interrupt the main thread, but not in the middle of a message."""
        self._stopped = True
        if not self._held_back:
            raise KeyboardInterrupt

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self.send(Said(record.levelno, record.getMessage()))


def work(connection: Connection, job: ImageJob, threads: int, sharers: int, level: int) -> None:
    """The life of the process: ``threads`` for torch, memory shared with ``sharers`` in all."""
    # Ctrl-C reaches every process of a terminal; the one that hands out says when to stop, and how.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report = Report(connection)
    signal.signal(signal.SIGTERM, report.stop)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded
    log = logging.getLogger("stylecli")
    log.setLevel(level)
    log.addHandler(report)
    try:
        from stylecli import memory

        memory.sharers = sharers
        how = job.work(job.loading.load)
        painters = how.painters()
        report.send(Ready())
        stream(_handed(connection), replace(how, painters=lambda: painters), report.send)
    except (KeyboardInterrupt, OSError):  # told to stop; or nobody is there any more
        pass
    except Exception as error:
        with suppress(
            KeyboardInterrupt, OSError
        ):  # another one may have said the same, and this one is stopped for it
            report.send(Broken.of(error))
    os._exit(0)  # an ordinary exit takes all modules apart first, for half a second


def _handed(connection: Connection) -> Iterator[Portion]:
    """What comes, and nothing now and then: whoever waits looks whether the run was stopped."""
    while True:
        try:
            if not connection.poll(POLL_S):
                yield ()
                continue
            portion: Portion | None = connection.recv()
        except (EOFError, OSError):
            return
        if portion is None:
            return
        yield portion
