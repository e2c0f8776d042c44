"""A plan shared among workers: whoever they are, they are begun, handed portions, listened to, and replaced when they
die. What a worker is (a process, an actor of Ray) and how it is reached is the crew's affair."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stylecli.errors import StylizeError
from stylecli.interrupt import one_ctrl_c
from stylecli.run.executor import Emit, Job, tidy
from stylecli.run.plan import Task
from stylecli.run.worker import Broken, Over, Ready, Said

if TYPE_CHECKING:
    from stylecli.run.handout import Handout
    from stylecli.run.stream import Portion

log = logging.getLogger(__name__)

_TRIES = 3  # workers in a row that die before they are ready
_POLL_S = 1.0
_PATIENCE_S = 30.0  # without any worker, before that is said


class Worker(ABC):
    """One of a crew, at a ``place`` where another can be begun in its stead."""

    place: Any
    ready = False

    @abstractmethod
    def hand(self, portions: Sequence[Portion]) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """Let it finish what it cannot leave half-done, and end."""


@dataclass(frozen=True)
class Ended:
    """A worker is there no more: why, in words; ``error`` where none of its kind can be begun."""

    reason: str
    error: StylizeError | None = None


class Crew(ABC):
    """Workers of one kind."""

    advice = ""
    """What to do where workers cannot begin."""

    @abstractmethod
    def begin(self, place: Any) -> Worker: ...

    @abstractmethod
    def listen(self, timeout: float) -> Iterable[tuple[Worker, Sequence[object] | Ended]]:
        """What there is to hear within so many seconds; at once where there is something."""

    def first_ready(self, worker: Worker, message: Ready) -> None:  # noqa: B027 - most have nothing to do then
        """Before the others are begun."""

    @abstractmethod
    def close(self, *, at_once: bool) -> None:
        """End all; ``at_once``: also those that finish something."""


class Run:
    """One plan, from the first worker to the last."""

    def __init__(self, job: Job, todo: Sequence[Task], places: Sequence[Any], emit: Emit) -> None:
        """``places``: where workers may be; where they will be is in ``self.places``."""
        self._handout: Handout = job.handout(todo, len(places), emit)
        self._todo, self._patient = todo, job.patient
        self.places = list(places)[: self._handout.waiting]
        # Adapting a network takes long and is kept in the cache: one does it, the others find it there.
        self._later = self.places[1:] if job.options.refine else []
        self._workers: set[Worker] = set()
        self._deaths = self._early_deaths = 0
        self._said: set[str] = set()
        self._stopping = self._hurried = False
        self._waited = time.monotonic()

    def run(self, crew: Crew) -> None:
        """Raises what a worker says to end the run, and KeyboardInterrupt once what cannot be left is finished."""
        self._crew = crew
        try:
            # What a worker said must not be lost halfway: then it would be waited for without end.
            with one_ctrl_c(says="") as interrupted:
                for place in self.places[: len(self.places) - len(self._later)]:
                    self._begin(place)
                while not self._handout.over:
                    self._listen()
                    self._tell_if_nobody_works()
                    if interrupted.is_set():
                        raise KeyboardInterrupt
        except BaseException as error:
            self._stop(said=isinstance(error, KeyboardInterrupt))
            raise
        finally:
            self._crew.close(at_once=self._hurried)
            self._handout.close()
            if self._deaths or not self._handout.over:
                tidy(self._todo)

    def _begin(self, place: Any) -> None:
        self._workers.add(self._crew.begin(place))

    def _listen(self) -> None:
        for worker, messages in self._crew.listen(_POLL_S):
            if isinstance(messages, Ended):
                self._died(worker, messages)
                continue
            for message in messages:
                self._heard(worker, message)
            self._hand_to(worker)

    def _heard(self, worker: Worker, message: Any) -> None:
        if isinstance(message, Broken):
            self._workers.discard(worker)
            if message.trace is not None:
                log.debug("%s", message.trace)
            raise message.error()
        if isinstance(message, Over):
            self._workers.discard(worker)
        elif isinstance(message, Said):
            # While they load, all say the same.
            if worker.ready or message.text not in self._said:
                log.log(message.level, "%s", message.text)
            self._said.add(message.text)
        elif isinstance(message, Ready):
            worker.ready, self._early_deaths = True, 0
            if self._later and not self._stopping:
                self._crew.first_ready(worker, message)
                later, self._later = self._later, []
                for place in later:
                    self._begin(place)
        else:
            self._handout.heard(worker, message)

    def _hand_to(self, worker: Worker) -> None:
        if not worker.ready or self._stopping:
            return
        if taken := list(self._taken(worker)):
            worker.hand(taken)

    def _taken(self, worker: Worker) -> Iterator[Portion]:
        while portion := self._handout.take(worker):
            yield portion

    def _died(self, worker: Worker, ended: Ended) -> None:
        self._workers.discard(worker)
        self._deaths += 1
        if self._stopping:
            return
        if not worker.ready:
            self._early_deaths += 1
            if ended.error is not None:
                raise ended.error
            if self._early_deaths >= _TRIES:
                raise StylizeError(
                    f"{_TRIES} workers on {worker.place} ended while they loaded the network ({ended.reason})"
                    f"{self._crew.advice}"
                )
        self._handout.died(worker, ended.reason)
        log.info("a worker on %s ended (%s): others do what it had in hand", worker.place, ended.reason)
        if self._handout.waiting:
            self._begin(worker.place)
        for other in self._workers:
            self._hand_to(other)

    def _tell_if_nobody_works(self) -> None:
        if any(worker.ready for worker in self._workers):
            self._waited = time.monotonic()
        elif time.monotonic() - self._waited > _PATIENCE_S:
            log.info("no worker is ready yet: waiting")
            self._waited = float("inf")

    def _stop(self, *, said: bool) -> None:
        """Let every worker finish the file, or the frames, that it writes, and tell what they finished."""
        self._stopping = self._hurried = True
        if said and self._patient:
            log.warning("interrupted: completing the frames in hand (Ctrl-C again stops at once)")
        for worker in self._workers:
            worker.stop()
        self._workers = {worker for worker in self._workers if worker.ready}
        while self._workers:
            with suppress(StylizeError):
                self._listen()
        self._handout.stopped()
        self._hurried = False
