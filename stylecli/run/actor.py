"""A worker of a cluster, in a process that Ray starts: it holds the network and paints what it is handed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING

from stylecli.errors import UsageError
from stylecli.run.events import Done, Event, Failed, Skipped, Started
from stylecli.run.plan import Task
from stylecli.run.stages import POLL_S
from stylecli.run.stream import Portion, Work, stream
from stylecli.run.worker import Broken, Said

if TYPE_CHECKING:
    from stylecli.run.images import ImageJob
    from stylecli.run.shipping import Parcel


@dataclass(frozen=True)
class Order:
    """What every worker is told in the beginning."""

    job: ImageJob
    parcels: list[Parcel]
    version: str
    folder: Path  # that relative paths begin at
    seen: Path | None  # a file in the folder of results, where that is on a disk that all should see
    environment: Mapping[str, str]
    level: int


class Actor:
    """Called by several threads at a time: each call of ``paint`` waits for its own portion."""

    def __init__(self, order: Order, threads: int, sharers: int) -> None:
        self._order, self._sharers = order, sharers
        os.environ.update({**order.environment, "OMP_NUM_THREADS": str(threads)})
        self._queue: Queue[Portion | None] = Queue()
        self._changed = threading.Condition()
        self._open: dict[Portion, set[Task]] = {}
        self._messages: dict[Portion | None, list[object]] = {None: []}
        self._over = self._stopped = False

    def prepare(self, fetch: Callable[[Parcel], bytes]) -> list[object]:
        """Load the network and encode the styles, which ``fetch`` gives; what was said meanwhile."""
        logging.getLogger("stylecli").setLevel(self._order.level)
        logging.getLogger("stylecli").addHandler(_Kept(self))
        try:
            work = self._prepared(fetch)
        except Exception as error:
            return [*self._messages[None], Broken.of(error)]
        threading.Thread(target=self._paint, args=(work,), name="stream", daemon=True).start()
        return self._messages.pop(None)

    def _prepared(self, fetch: Callable[[Parcel], bytes]) -> Work:
        from stylecli import memory
        from stylecli.run.shipping import unpacked, version

        order, node = self._order, os.uname().nodename
        if version() != order.version:
            raise UsageError(
                f"--cluster: {node} has {version()}, here is {order.version}: install the same everywhere"
            )
        try:
            os.chdir(order.folder)
        except OSError:
            if order.seen is not None:
                raise UsageError(_unseen(node, order.folder)) from None
        if order.seen is not None and not order.seen.exists():
            raise UsageError(_unseen(node, order.seen.parent))
        memory.sharers = self._sharers
        job = unpacked(order.job, order.parcels, fetch)
        work = job.work(job.loading.load)
        painters = work.painters()
        return replace(work, painters=lambda: painters)

    def paint(self, portion: Portion) -> list[object]:
        """Paint it; what there is to say about it. It may be less than all where it was stopped."""
        with self._changed:
            self._open[portion] = set(portion)
            self._messages[portion] = []
            self._queue.put(portion)
            self._changed.wait_for(lambda: self._over or not self._open[portion])
            del self._open[portion]
            return self._messages.pop(portion)

    def stop(self) -> None:
        """Finish the file that is written, and begin nothing else."""
        self._stopped = True

    def _paint(self, work: Work) -> None:
        try:
            stream(self._handed(), work, self._emit)
        except KeyboardInterrupt:
            pass
        except Exception as error:
            self.say(Broken.of(error))
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _handed(self) -> Iterator[Portion]:
        while not self._stopped:
            try:
                portion = self._queue.get(timeout=POLL_S)
            except Empty:
                yield ()
                continue
            if portion is None:
                return
            yield portion

    def _emit(self, event: Event) -> None:
        if self._stopped and isinstance(event, Started):
            raise KeyboardInterrupt  # as if somebody had pressed the keys here
        with self._changed:
            portion = next((one for one in self._open if _concerns(event, one)), None)
            self.say(event, portion)
            if portion is not None and isinstance(event, Done | Failed | Skipped):
                self._open[portion] -= {one for one in portion if one.target == event.target}
                self._changed.notify_all()

    def say(self, message: object, portion: Portion | None = None) -> None:
        """Keep a message for the next one who asks, or for the call that waits for ``portion``."""
        with self._changed:
            if portion not in self._messages:
                portion = next(iter(self._messages), None)
            if portion in self._messages:
                self._messages[portion].append(message)


def _concerns(event: Event, portion: Portion) -> bool:
    if isinstance(event, Done | Failed | Skipped | Started):
        return any(task.target == event.target and task.source == event.source for task in portion)
    return event.source == portion[0].source


def _unseen(node: str, folder: Path) -> str:
    return f"--cluster: {node} does not see {folder}: put inputs and results on a disk that all nodes share, or on s3://"


class _Kept(logging.Handler):
    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        self._actor.say(Said(record.levelno, record.getMessage()))
