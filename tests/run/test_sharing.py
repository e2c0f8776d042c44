"""A run that is shared among workers, with workers that only talk."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stylecli.run.executor import Job
from stylecli.run.handout import Handout, shares
from stylecli.run.plan import Task
from stylecli.run.sharing import Crew, Run, Worker
from stylecli.run.worker import Over


class Talker(Worker):
    place, ready, stopped = "here", True, False

    def hand(self, portions: Sequence[object]) -> None: ...

    def stop(self) -> None:
        self.stopped = True


class Talkers(Crew):
    """One worker, which says that it is over once it was stopped."""

    def __init__(self) -> None:
        self.worker, self.turns, self.lost = Talker(), 0, False

    def begin(self, place: Any) -> Worker:
        return self.worker

    def listen(self, timeout: float) -> Iterator[tuple[Worker, Sequence[object]]]:
        self.turns += 1
        assert not self.lost
        if self.turns == 2:
            self.lost = True  # what comes next is not awaited yet
            os.kill(os.getpid(), signal.SIGINT)
            self.lost = False
        yield self.worker, [Over()] if self.worker.stopped else []

    def close(self, *, at_once: bool) -> None: ...


def test_ctrl_c_while_listening_loses_nothing() -> None:
    def handout(todo: Sequence[Any], workers: int, emit: Any) -> Handout:
        return Handout(shares(list(todo), workers), emit)

    job = cast(Job, SimpleNamespace(handout=handout, patient=False, options=SimpleNamespace(refine=0)))
    crew, before = Talkers(), signal.getsignal(signal.SIGINT)
    todo = [Task(Path("a.png"), Path("b.png"), "style")]
    with pytest.raises(KeyboardInterrupt):
        Run(job, todo, ["here"], lambda event: None).run(crew)
    assert crew.turns == 3  # the turn in which the keys were pressed was heard to its end
    assert signal.getsignal(signal.SIGINT) is before
