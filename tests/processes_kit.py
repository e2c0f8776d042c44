"""Pictures that other processes paint without a network, and what may happen to these processes.

Nothing of the tests' own: a process that is spawned finds this module by its name, and of several ``conftest`` any."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stylecli.errors import WeightsError
from stylecli.run.images import ImageJob
from stylecli.run.stream import Work


def heed_ctrl_c() -> None:
    """``preexec_fn`` of programs that are sent SIGINT: a shell's background job ignores it and hands that down, and the
    tests may run in one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Stopped(WeightsError):
    """A process that is told to stop while it says what went wrong: another one was quicker."""

    def __str__(self) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return ""


@dataclass(frozen=True)
class Plain(ImageJob):
    """Pictures as they are, without a network. A file whose name says so kills the process that reads it, or waits."""

    mood: str = "well"

    def work(self, load: Callable[[], object]) -> Work:
        def painters() -> Mapping[str, Callable]:
            if self.mood == "weights":
                raise WeightsError("weights are missing")
            if self.mood == "stopped":
                raise Stopped
            if self.mood == "dies":
                os.kill(os.getpid(), signal.SIGSEGV)
            return {"x": lambda pixels: pixels}

        return Work(self._read, painters, lambda picture, task: self._write(picture, task.target, {}))

    def _read(self, source: Path):
        if "deadly" in source.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._read(source)
