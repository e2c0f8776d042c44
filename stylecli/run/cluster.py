"""Workers on a Ray cluster: one on each graphics card, or on so many cores of each node.

Ray places the processes, notices when one dies, and carries paths, events, weights and styles. Pictures do not pass
through it: workers read and write files themselves.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylecli.errors import StylizeError, UsageError
from stylecli.files.atomic import atomic_path
from stylecli.files.remote import RemotePath
from stylecli.run.actor import Actor, Order
from stylecli.run.events import Event, Failed
from stylecli.run.executor import check_files, tidy
from stylecli.run.handout import Handout, shares
from stylecli.run.paths import is_folder
from stylecli.run.plan import Task
from stylecli.run.processes import cores
from stylecli.run.shipping import Parcel, parcels, version
from stylecli.run.worker import Broken, Said

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.images import ImageJob

log = logging.getLogger(__name__)

_TRIES = 3  # workers in a row that die before they are ready
_POLL_S = 1.0
_ANSWER_S = 5.0
_PATIENCE_S = 30.0  # without any worker, before that is said
_GOODBYE_S = 60.0  # for the files that are being written
_CALLS = 5  # of an actor at a time
_STORE = 128 << 20  # bytes for what is sent, of a cluster that is begun here


@dataclass(frozen=True)
class Cluster:
    """The cluster at ``address``: of Ray's own kind, ``auto``, or ``local:N`` for N processes begun here. ``jobs``
    workers on each card, or on each node's processor."""

    address: str
    device: str = "auto"
    jobs: int = 1

    def paint(
        self,
        job: ImageJob,
        todo: Sequence[Task],
        load: Callable[[], Stylizer],
        emit: Callable[[Event], None],
    ) -> None:
        check_files(todo, "on a cluster", "--cluster")
        ray = self._connect()
        try:
            with _seen_by_all(todo) as seen:
                order = Order(
                    job,
                    parcels(job),
                    version(),
                    Path.cwd(),
                    seen,
                    {name: os.environ[name] for name in _PASSED if name in os.environ},
                    logging.getLogger("stylecli").getEffectiveLevel(),
                )
                _Run(ray, order, todo, self._seats(ray), emit).run()
        finally:
            ray.shutdown()

    def _connect(self) -> Any:
        """Raises UsageError where there is no Ray, or no cluster."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        try:
            import ray
        except ImportError:
            raise UsageError("--cluster needs Ray: pip install 'stylecli[cluster]'") from None
        logging.getLogger("ray").setLevel(logging.ERROR)
        _silence()
        quiet = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": False}
        kind, _, number = self.address.partition(":")
        if kind == "local":
            if number and not (number.isdecimal() and int(number)):
                raise UsageError(f"--cluster {self.address}: local:N begins N processes here, as in local:4")
            own = {"num_cpus": int(number or 1), "object_store_memory": _STORE, "include_dashboard": False}
            ray.init(address="local", **quiet, **own)
            return ray
        try:
            if match := re.fullmatch(
                r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", self.address
            ):  # Ray would try for minutes
                socket.create_connection((match[1], int(match[2])), _ANSWER_S).close()
            ray.init(address=self.address, **quiet)
        except (OSError, OverflowError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                f"--cluster {self.address}: no Ray cluster answers there ({said}); begin one with 'ray start --head', "
                "or try local:2"
            ) from error
        return ray

    def _seats(self, ray: Any) -> list[Seat]:
        """Where workers are to sit. Raises UsageError where there is nothing to paint on."""
        kind = self.device.partition(":")[0]
        if kind not in ("auto", "cpu", "cuda") or self.device not in (kind, f"{kind}:all"):
            raise UsageError(
                f"--device {self.device}: on a cluster choose auto, cpu or cuda; Ray gives out the cards"
            )
        seats = []
        for node in ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            cards, cpus = int(has.get("GPU", 0)), int(has.get("CPU", 0))
            if self.address.startswith("local"):
                seats += [Seat(node["NodeID"], 1, 0, max(1, cores() // cpus), cpus)] * cpus
            elif cards and kind != "cpu":
                count = cards * self.jobs
                seats += [Seat(node["NodeID"], 0, 1 / self.jobs, max(1, cpus // count), count)] * count
            elif cpus and kind != "cuda":
                count = min(self.jobs, cpus)
                seats += [Seat(node["NodeID"], cpus // count, 0, cpus // count, count)] * count
        if not seats:
            raise UsageError(f"--cluster {self.address}: no node has anything to paint on ({self.device})")
        return seats


def _silence() -> None:
    """Keep Ray's own words about dead workers from stdout, which is ours; no option of it does."""
    with suppress(ImportError):
        from ray._private import worker

        worker.print_to_stdstream = lambda *args, **kwargs: None


_PASSED = ("STYLIZE_OFFLINE", "STYLIZE_KERNELS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@dataclass(frozen=True)
class Seat:
    """A place for one worker: what Ray reserves for it, its threads, and how many share its node."""

    node: str
    cpus: int
    cards: float
    threads: int
    sharers: int


@contextmanager
def _seen_by_all(todo: Sequence[Task]) -> Iterator[Path | None]:
    """A file by which workers tell that they see the same disk: in the nearest folder above the first result, or, where
    results go elsewhere, the first picture. None where all of them are elsewhere."""
    results = [task.target for task in todo if not isinstance(task.target, RemotePath)]
    if not results:
        sources = (task.source.absolute() for task in todo if not isinstance(task.source, RemotePath))
        yield next(sources, None)
        return
    folder = results[0].absolute().parent
    while not is_folder(folder):
        folder = folder.parent
    with suppress(_Unwanted), atomic_path(folder / "seen") as file:
        yield file
        raise _Unwanted


class _Unwanted(Exception):
    """The file is not to stay."""


class _Run:
    """One plan, from the first worker to the last."""

    def __init__(
        self,
        ray: Any,
        order: Order,
        todo: Sequence[Task],
        seats: Sequence[Seat],
        emit: Callable[[Event], None],
    ) -> None:
        self._ray, self._order, self._todo, self._emit = ray, order, todo, emit
        self._sent = {parcel.sha256: ray.put(parcel.path.read_bytes()) for parcel in order.parcels}
        self._seats = list(seats)[: len(todo)]
        self._handout = Handout(shares(todo, len(self._seats)))
        self._seat_of: dict[Any, Seat] = {}
        self._ready: set[Any] = set()
        self._calls: dict[Any, Any] = {}  # results that are awaited -> of which worker
        self._deaths = self._early_deaths = 0
        self._said: set[str] = set()
        self._waited = time.monotonic()

    def run(self) -> None:
        try:
            later = self._seats[1:] if self._order.job.options.refine else []
            for seat in self._seats[: len(self._seats) - len(later)]:
                self._start(seat)
            while not self._handout.over:
                self._listen()
                if later and self._ready:
                    for seat in later:
                        self._start(seat)
                    later = []
                self._tell_if_nobody_works()
        except BaseException:
            self._stop()
            raise
        finally:
            for worker in self._seat_of:
                self._ray.kill(worker)
            if self._deaths:
                tidy(self._todo)

    def _start(self, seat: Seat) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        worker = (
            self._ray.remote(Actor)
            .options(
                num_cpus=seat.cpus,
                num_gpus=seat.cards,
                max_concurrency=_CALLS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=True),
            )
            .remote(self._order, seat.threads, seat.sharers)
        )
        self._seat_of[worker] = seat
        self._calls[worker.prepare.remote(_Fetch(self._sent))] = worker

    def _listen(self) -> None:
        done, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=_POLL_S)
        for call in done:
            worker = self._calls.pop(call, None)
            if worker is None:  # it has died: known already
                continue
            try:
                messages = self._ray.get(call)
            except self._ray.exceptions.RayActorError as error:
                self._died(worker, error)
                continue
            except self._ray.exceptions.RayError as error:
                raise StylizeError(f"--cluster: {_first_line(error)}") from error
            self._heard(worker, messages)

    def _heard(self, worker: Any, messages: Sequence[object]) -> None:
        for message in messages:
            if isinstance(message, Broken):
                if message.trace is not None:
                    log.debug("%s", message.trace)
                raise message.error()
            if isinstance(message, Said):
                if (
                    worker in self._ready or message.text not in self._said
                ):  # while they load, all say the same
                    log.log(message.level, "%s", message.text)
                self._said.add(message.text)
            else:
                event: Event = message  # type: ignore[assignment]
                self._handout.ended(worker, event)
                self._emit(event)
        self._ready.add(worker)
        self._early_deaths = 0
        self._hand_to(worker)

    def _hand_to(self, worker: Any) -> None:
        while worker in self._ready and (portion := self._handout.take(worker)):
            self._calls[worker.paint.remote(portion)] = worker

    def _died(self, worker: Any, error: Exception) -> None:
        self._calls = {call: one for call, one in self._calls.items() if one != worker}
        self._deaths += 1
        seat, reason = self._seat_of.pop(worker), _first_line(error)
        if worker not in self._ready:
            self._early_deaths += 1
            if "No module named 'stylecli'" in str(error):
                raise UsageError(
                    "--cluster: stylecli is not installed on every node: install the same everywhere"
                )
            if self._early_deaths >= _TRIES:
                raise StylizeError(
                    f"--cluster: {_TRIES} workers ended while they loaded the network: {reason}"
                )
        self._ready.discard(worker)
        for task in self._handout.died(worker):
            text = f"three workers that had it in hand ended ({reason}): left out"
            self._emit(Failed(task.source, text, task.target, task.style))
        log.info("a worker ended (%s): others do what it had in hand", reason)
        if self._handout.waiting:
            self._start(seat)
        for other in list(self._ready):
            self._hand_to(other)

    def _tell_if_nobody_works(self) -> None:
        if self._ready:
            self._waited = time.monotonic()
        elif time.monotonic() - self._waited > _PATIENCE_S:
            log.info("waiting for the cluster: no worker is ready yet")
            self._waited = float("inf")

    def _stop(self) -> None:
        """Let every worker finish the file that it writes, and tell what they finished."""
        for worker in self._ready:
            worker.stop.remote()
        until = time.monotonic() + _GOODBYE_S
        self._calls = {call: worker for call, worker in self._calls.items() if worker in self._ready}
        while self._calls and time.monotonic() < until:
            done, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=_POLL_S)
            for call in done:
                del self._calls[call]
                with suppress(self._ray.exceptions.RayError):
                    for message in self._ray.get(call):
                        if not isinstance(message, Broken | Said):
                            self._emit(message)


@dataclass(frozen=True)
class _Fetch:
    """Gives a worker what it lacks."""

    sent: dict[str, Any]

    def __call__(self, parcel: Parcel) -> bytes:
        import ray

        return bytes(ray.get(self.sent[parcel.sha256]))


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    for line in text.splitlines():
        if "Error" in line or "exit" in line or "died" in line:
            return " ".join(line.split())[:200]
    return " ".join(text.split())[:200] or type(error).__name__
