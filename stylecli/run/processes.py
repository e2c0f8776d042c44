"""Several processes of this machine: one or more on each device, each with a network of its own."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from stylecli.errors import StylizeError, UsageError
from stylecli.run.events import Event, Failed
from stylecli.run.executor import check_files, tidy
from stylecli.run.handout import Handout, shares
from stylecli.run.plan import Task
from stylecli.run.worker import Broken, Ready, Said, work

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.images import ImageJob

log = logging.getLogger(__name__)

_TRIES = 3  # workers in a row that die before they are ready
_GOODBYE_S = 10.0


@dataclass(frozen=True)
class Processes:
    """``jobs`` processes on each of ``devices`` (``cuda:0,cuda:1``, ``cuda:all``)."""

    devices: str
    jobs: int = 1

    def paint(
        self,
        job: ImageJob,
        todo: Sequence[Task],
        load: Callable[[], Stylizer],
        emit: Callable[[Event], None],
    ) -> None:
        check_files(todo, "among processes", "--jobs")
        places = each_device(self.devices) * self.jobs
        count = min(len(places), len(todo))
        _Run(job, todo, places[:count], emit).run()


def each_device(names: str) -> list[str]:
    """``cuda:0,cuda:1`` and ``cuda:all`` one by one. Raises UsageError for kinds whose paintings would differ."""
    every: list[str] = []
    for name in names.split(","):
        kind, _, number = name.partition(":")
        if number == "all":
            from stylecli.devices import here

            those = [str(device) for device in here() if device.type == kind]
            if not those:
                raise UsageError(f"--device {name}: torch finds no {kind.upper()} device here")
            every += those
        else:
            every.append(name)
    if len({name.partition(":")[0] for name in every}) > 1:
        raise UsageError(f"--device {names}: these paint with different rounding; name devices of one kind")
    return list(dict.fromkeys(every))


def cores() -> int:
    """That torch would use in one process."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """A process, and this end of the way to it."""

    def __init__(self, job: ImageJob, place: str, count: int) -> None:
        self.place, self.ready = place, False
        self.connection, theirs = multiprocessing.Pipe()
        limit = job.memory_limit and job.memory_limit // count
        loading = replace(job.loading, device=place, memory_limit=limit)
        shared = replace(job, loading=loading, memory_limit=limit)
        threads = max(1, cores() // count)
        level = logging.getLogger("stylecli").getEffectiveLevel()
        self.process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=work, args=(theirs, shared, threads, count, level), name=f"stylize on {place}", daemon=True
        )
        self.process.start()
        theirs.close()  # or its end would not be noticed

    def send(self, message: object) -> None:
        with suppress(OSError):  # it has just died: that comes out when it is listened to
            self.connection.send(message)

    @property
    def ending(self) -> str:
        """What it died of, in words."""
        self.process.join(_GOODBYE_S)
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"{name}, not enough memory perhaps" if name == "SIGKILL" else name


class _Run:
    """One plan, from the first worker to the last."""

    def __init__(
        self, job: ImageJob, todo: Sequence[Task], places: Sequence[str], emit: Callable[[Event], None]
    ) -> None:
        self._job, self._todo, self._places, self._emit = job, todo, list(places), emit
        self._handout = Handout(shares(todo, len(places)))
        self._workers: dict[Connection, _Worker] = {}
        # Adapting a network takes long and is kept in the cache: one does it, the others find it there.
        self._later = self._places[1:] if job.options.refine else []
        self._deaths = self._early_deaths = 0
        self._said: set[str] = set()
        self._interrupted = False

    def run(self) -> None:
        try:
            self._start(self._places[: len(self._places) - len(self._later)])
            while not self._handout.over:
                self._listen()
        except KeyboardInterrupt:
            self._interrupted = True
            self._interrupt()
            raise
        finally:
            self._end()

    def _start(self, places: Sequence[str]) -> None:
        for place in places:
            worker = _Worker(self._job, place, len(self._places))
            self._workers[worker.connection] = worker

    def _listen(self, timeout: float | None = None) -> None:
        """To whoever has something to say, or has died."""
        for connection in wait(list(self._workers), timeout):
            assert isinstance(connection, Connection)
            worker = self._workers[connection]
            try:
                message = connection.recv()
            except Exception:  # its end, or what a Ctrl-C has cut in two
                self._died(worker)
            else:
                self._heard(worker, message)

    def _heard(self, worker: _Worker, message: object) -> None:
        if isinstance(message, Broken):
            if message.trace is not None:
                log.debug("%s", message.trace)
            raise message.error()
        if isinstance(message, Said):
            # While they load, all say the same.
            if worker.ready or message.text not in self._said:
                log.log(message.level, "%s", message.text)
            self._said.add(message.text)
            return
        if isinstance(message, Ready):
            worker.ready, self._early_deaths = True, 0
            self._start(self._later)
            self._later = []
        else:
            event: Event = message  # type: ignore[assignment]
            self._handout.ended(worker, event)
            self._emit(event)
        self._hand_to(worker)

    def _hand_to(self, worker: _Worker) -> None:
        while worker.ready and not self._interrupted and (portion := self._handout.take(worker)):
            worker.send(portion)

    def _died(self, worker: _Worker) -> None:
        del self._workers[worker.connection]
        worker.connection.close()
        self._deaths += 1
        given_up = self._handout.died(worker)
        if self._interrupted:
            return
        ending = worker.ending
        if not worker.ready:
            self._early_deaths += 1
            if self._early_deaths >= _TRIES:
                raise StylizeError(
                    f"{_TRIES} processes on {worker.place} ended while they loaded the network ({ending}): try without "
                    "--jobs, or with fewer devices"
                )
        for task in given_up:
            reason = f"three processes that had it in hand ended ({ending}): left out"
            self._emit(Failed(task.source, reason, task.target, task.style))
        log.info("a process on %s ended (%s): others do what it had in hand", worker.place, ending)
        if self._handout.waiting:
            self._start([worker.place])
        for other in self._workers.values():
            self._hand_to(other)

    def _interrupt(self) -> None:
        """Let every worker finish the file that it writes."""
        for worker in self._workers.values():
            worker.process.terminate()
            worker.send(None)
        while self._workers:
            with suppress(StylizeError):
                self._listen()

    def _end(self) -> None:
        for worker in self._workers.values():
            if self._interrupted:  # once more, while they were ending
                worker.process.kill()
            elif not self._handout.over:
                worker.process.terminate()
            worker.send(None)
        for worker in self._workers.values():
            worker.process.join(_GOODBYE_S)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()
        if self._deaths or not self._handout.over:
            tidy(self._todo)
