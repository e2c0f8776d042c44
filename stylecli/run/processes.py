"""Several processes of this machine: one or more on each device, each with a network of its own."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from stylecli.errors import UsageError
from stylecli.run.executor import Emit, Job, Load, check_files
from stylecli.run.plan import Task
from stylecli.run.sharing import Crew, Ended, Run, Worker
from stylecli.run.stream import Portion
from stylecli.run.worker import work
from stylecli.threads import cores

_GOODBYE_S = 10.0


@dataclass(frozen=True)
class Processes:
    """``jobs`` processes on each of ``devices`` (``cuda:0,cuda:1``, ``cuda:all``)."""

    devices: str
    jobs: int = 1

    def paint(self, job: Job, todo: Sequence[Task], load: Load, emit: Emit) -> None:
        check_files(todo, "among processes", "--jobs")
        places = each_device(self.devices) * self.jobs
        run = Run(job, todo, places, emit)
        run.run(_Processes(job, len(run.places)))


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


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are begun within never hear of Ctrl-C, from their first moment on: a terminal sends it to all."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # it would end this while it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Process(Worker):
    """A process, and this end of the way to it."""

    def __init__(self, job: Job, place: str, count: int) -> None:
        self.place = place
        self.connection, theirs = multiprocessing.Pipe()
        limit = job.loading.memory_limit and job.loading.memory_limit // count
        shared = job.loaded_by(replace(job.loading, device=place, memory_limit=limit))
        threads = max(1, cores() // count)
        level = logging.getLogger("stylecli").getEffectiveLevel()
        self.process: SpawnProcess = multiprocessing.get_context("spawn").Process(
            target=work, args=(theirs, shared, threads, count, level), name=f"stylize on {place}", daemon=True
        )
        with _deaf_to_ctrl_c():
            self.process.start()
        theirs.close()  # or its end would not be noticed

    def hand(self, portions: Sequence[Portion]) -> None:
        for portion in portions:
            self.send(portion)

    def stop(self) -> None:
        self.process.terminate()
        self.send(None)

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


class _Processes(Crew):
    advice = ": try without --jobs, or with fewer devices"

    def __init__(self, job: Job, count: int) -> None:
        self._job, self._count = job, count
        self._workers: dict[Connection, _Process] = {}

    def begin(self, place: str) -> Worker:
        worker = _Process(self._job, place, self._count)
        self._workers[worker.connection] = worker
        return worker

    def listen(self, timeout: float) -> Iterator[tuple[Worker, Sequence[object] | Ended]]:
        for connection in wait(list(self._workers), timeout):
            assert isinstance(connection, Connection)
            worker = self._workers[connection]
            try:
                message = connection.recv()
            except Exception:  # its end, or what a Ctrl-C has cut in two
                del self._workers[connection]
                connection.close()
                yield worker, Ended(worker.ending)
            else:
                yield worker, [message]

    def close(self, *, at_once: bool) -> None:
        for worker in self._workers.values():
            if at_once:
                worker.process.kill()
            worker.send(None)
        for worker in self._workers.values():
            worker.process.join(_GOODBYE_S)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()
