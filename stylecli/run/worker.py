"""A process that paints for another one: it holds the network with its styles encoded, is handed portions of paths,
and tells what comes of them. It ends when the other one says so, or is gone.

What it says is an event, or one of the messages below."""

from __future__ import annotations

import logging
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING

from stylecli.errors import OutOfMemoryError, StylizeError, is_out_of_memory
from stylecli.interrupt import waits
from stylecli.run.stages import POLL_S

if TYPE_CHECKING:
    from stylecli.run.executor import Job
    from stylecli.run.shipping import Parcel
    from stylecli.run.stream import Portion


@dataclass(frozen=True)
class Ready:
    """The network is loaded and the styles are encoded; ``refined``: networks that were adapted to these, which others
    may be sent."""

    refined: tuple[Parcel, ...] = ()


@dataclass(frozen=True)
class Over:
    """Nothing more will come."""


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

    def __init__(self, connection: Connection, patient: bool) -> None:
        super().__init__()
        self._connection, self._sending, self._patient = connection, threading.Lock(), patient
        self._held_back = False
        self.stopped = threading.Event()

    def send(self, message: object) -> None:
        main = threading.current_thread() is threading.main_thread()
        self._held_back |= main
        with self._sending:
            self._connection.send(message)
        if main:
            self._held_back = False
            if self.stopped.is_set() and not self._patient:
                raise KeyboardInterrupt

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Interrupt the main thread: not in the middle of a message, nor where it waits (a queue would stay locked for
        ever; what it waits for ends), nor one that looks whether it is to stop."""
        self.stopped.set()
        if not (self._held_back or self._patient or waits(frame)):
            raise KeyboardInterrupt

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self.send(Said(record.levelno, record.getMessage()))


def work(connection: Connection, job: Job, threads: int, sharers: int, level: int) -> None:
    """The life of the process: ``threads`` for torch, memory shared with ``sharers`` in all."""
    # Ctrl-C reaches every process of a terminal; the one that hands out says when to stop, and how.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report = Report(connection, job.patient)
    signal.signal(signal.SIGTERM, report.stop)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is loaded
    log = logging.getLogger("stylecli")
    log.setLevel(level)
    log.addHandler(report)
    try:
        from stylecli import memory

        memory.sharers = sharers
        carry_out = job.prepared(job.loading.load)
        report.send(Ready())
        carry_out(_handed(connection), report.send, report.stopped)
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
