"""A worker of a cluster, in a process that Ray starts: it holds the network and paints what it is handed."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING

from stylecli.errors import UsageError
from stylecli.run.events import Event, Started
from stylecli.run.stages import POLL_S
from stylecli.run.stream import Portion
from stylecli.run.worker import Broken, Over, Ready, Said

if TYPE_CHECKING:
    from stylecli.run.executor import CarryOut, Job
    from stylecli.run.shipping import Parcel

_TOGETHER_S = 0.02  # in which messages are told together: calls are what costs


@dataclass(frozen=True)
class Order:
    """What every worker is told in the beginning."""

    job: Job
    parcels: list[Parcel]
    version: str
    folder: Path  # that relative paths begin at
    seen: Path | None  # a file in the folder of results, where that is on a disk that all should see
    environment: Mapping[str, str]
    level: int


class Actor:
    """Its methods are called by several threads at a time; a thread of its own does the work."""

    def __init__(self, order: Order, threads: int, sharers: int) -> None:
        self._order, self._sharers = order, sharers
        os.environ.update({**order.environment, "OMP_NUM_THREADS": str(threads)})
        self._portions: Queue[Portion] = Queue()
        self._messages: Queue[object] = Queue()
        self._stopped = threading.Event()

    def begin(self, fetch: Callable[[Parcel], bytes]) -> None:
        """Load the network and encode the styles, which ``fetch`` gives; then paint what is handed."""
        threading.Thread(target=self._live, args=(fetch,), name="work", daemon=True).start()

    def listen(self) -> list[object]:
        """What there is to say, once there is something."""
        messages = [self._messages.get()]
        time.sleep(_TOGETHER_S)
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages

    def hand(self, portions: Sequence[Portion]) -> None:
        for portion in portions:
            self._portions.put(portion)

    def stop(self) -> None:
        """Finish what is written, and begin nothing else."""
        self._stopped.set()

    def read(self, parcel: Parcel) -> bytes:
        """What was made here."""
        return parcel.there.read_bytes()

    def _live(self, fetch: Callable[[Parcel], bytes]) -> None:
        from stylecli.run.shipping import refined_here

        logging.getLogger("stylecli").setLevel(self._order.level)
        logging.getLogger("stylecli").addHandler(_Kept(self._messages))
        try:
            carry_out = self._prepared(fetch)
            self._messages.put(Ready(refined_here()))
            carry_out(self._handed(), self._emit, self._stopped)
        except KeyboardInterrupt:
            pass
        except Exception as error:
            self._messages.put(Broken.of(error))
        finally:
            self._messages.put(Over())

    def _prepared(self, fetch: Callable[[Parcel], bytes]) -> CarryOut:
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
        return job.prepared(job.loading.load)

    def _handed(self) -> Iterator[Portion]:
        while not self._stopped.is_set():
            try:
                yield self._portions.get(timeout=POLL_S)
            except Empty:
                yield ()

    def _emit(self, event: Event) -> None:
        if self._stopped.is_set() and isinstance(event, Started):
            raise KeyboardInterrupt  # as if somebody had pressed the keys here
        self._messages.put(event)


def _unseen(node: str, folder: Path) -> str:
    return f"--cluster: {node} does not see {folder}: put inputs and results on a disk that all nodes share, or on s3://"


class _Kept(logging.Handler):
    def __init__(self, messages: Queue[object]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.put(Said(record.levelno, record.getMessage()))
