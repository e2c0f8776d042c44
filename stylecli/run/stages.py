"""Threads in a row with short queues between them, which end together whatever happens in one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

_T = TypeVar("_T")
POLL_S = 0.2  # how soon a waiting stage notices that the run was stopped


class Stages:
    """Several stages of one run. ``stopped`` ends them all; ``broken`` holds what ended one that should not end."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.broken: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, name: str, stage: Callable[..., None], *args: object) -> None:
        """Run ``stage`` in a thread of its own."""
        thread = threading.Thread(target=self._guard, args=(stage, *args), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def finish(self) -> None:
        """Wait for all threads, and raise what broke one of them."""
        self.join()
        if self.broken:
            raise self.broken[0]

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _guard(self, stage: Callable[..., None], *args: object) -> None:
        """A thread that dies must end the run, not hang it."""
        try:
            stage(*args)
        except BaseException as error:
            self.broken.append(error)
            self.stopped.set()

    def put(self, queue: Queue[_T], value: _T) -> bool:
        """Wait for room; False when the run was stopped meanwhile."""
        while not self.stopped.is_set():
            try:
                queue.put(value, timeout=POLL_S)
                return True
            except Full:
                continue
        return False

    def taken(self, queue: Queue[_T | None]) -> Iterator[_T]:
        """What comes out of ``queue`` until its closing None, or until the run is stopped."""
        while not self.stopped.is_set():
            try:
                value = queue.get(timeout=POLL_S)
            except Empty:
                continue
            if value is None:
                return
            yield value
