"""Workers on a Ray cluster: one on each graphics card, or on so many cores of each node.

Ray places the processes, notices when one dies, and carries paths, events, weights and styles. Pictures do not pass
through it: workers read and write files themselves.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stylecli.errors import StylizeError, UsageError
from stylecli.files.atomic import atomic_path
from stylecli.files.remote import RemotePath
from stylecli.run.actor import Actor, Order
from stylecli.run.executor import Emit, Job, Load, check_files
from stylecli.run.paths import is_folder
from stylecli.run.plan import Task
from stylecli.run.sharing import Crew, Ended, Run, Worker
from stylecli.run.shipping import Parcel, parcels, version
from stylecli.run.stream import Portion
from stylecli.run.worker import Over, Ready
from stylecli.threads import cores

_ANSWER_S = 5.0
_CALLS = 4  # of an actor at a time
_STORE = 128 << 20  # bytes for what is sent, of a cluster that is begun here


@dataclass(frozen=True)
class Cluster:
    """The cluster at ``address``: of Ray's own kind, ``auto``, or ``local:N`` for N processes begun here. ``jobs``
    workers on each card, or on each node's processor."""

    address: str
    device: str = "auto"
    jobs: int = 1

    def paint(self, job: Job, todo: Sequence[Task], load: Load, emit: Emit) -> None:
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
                Run(job, todo, self._seats(ray), emit).run(_Actors(ray, order))
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

    def __str__(self) -> str:
        return f"node {self.node[:8]}"


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


class _Actor(Worker):
    """An actor of Ray's, and this end of the way to it."""

    def __init__(self, seat: Seat, actor: Any) -> None:
        self.place, self.actor = seat, actor

    def hand(self, portions: Sequence[Portion]) -> None:
        self.actor.hand.remote(portions)

    def stop(self) -> None:
        self.actor.stop.remote()


class _Actors(Crew):
    def __init__(self, ray: Any, order: Order) -> None:
        self._ray, self._order = ray, order
        self._sent = {parcel.sha256: ray.put(parcel.path.read_bytes()) for parcel in order.parcels}
        self._workers: list[_Actor] = []
        self._awaited: dict[Any, _Actor] = {}  # by what is awaited of them

    def begin(self, place: Seat) -> Worker:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = (
            self._ray.remote(Actor)
            .options(
                num_cpus=place.cpus,
                num_gpus=place.cards,
                max_concurrency=_CALLS,
                scheduling_strategy=NodeAffinitySchedulingStrategy(place.node, soft=True),
            )
            .remote(self._order, place.threads, place.sharers)
        )
        actor.begin.remote(_Fetch(self._sent))
        worker = _Actor(place, actor)
        self._workers.append(worker)
        self._awaited[actor.listen.remote()] = worker
        return worker

    def listen(self, timeout: float) -> Iterator[tuple[Worker, Sequence[object] | Ended]]:
        calls = list(self._awaited)
        done, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        if not done:
            done, _ = self._ray.wait(calls, num_returns=1, timeout=timeout)
        for call in done:
            worker = self._awaited.pop(call)
            try:
                messages = self._ray.get(call)
            except self._ray.exceptions.RayActorError as error:
                yield worker, _ended(error)
                continue
            except self._ray.exceptions.RayError as error:
                raise StylizeError(f"--cluster: {_first_line(error)}") from error
            if not any(isinstance(message, Over) for message in messages):
                self._awaited[worker.actor.listen.remote()] = worker
            yield worker, messages

    def first_ready(self, worker: Worker, message: Ready) -> None:
        """Networks that the first has adapted are sent to the others, where no disk is shared."""
        assert isinstance(worker, _Actor)
        for parcel in message.refined:
            self._sent[parcel.sha256] = self._ray.put(self._ray.get(worker.actor.read.remote(parcel)))
        self._order = replace(self._order, parcels=[*self._order.parcels, *message.refined])

    def close(self, *, at_once: bool) -> None:
        for worker in self._workers:
            self._ray.kill(worker.actor)


@dataclass(frozen=True)
class _Fetch:
    """Gives a worker what it lacks."""

    sent: dict[str, Any]

    def __call__(self, parcel: Parcel) -> bytes:
        import ray

        return bytes(ray.get(self.sent[parcel.sha256]))


def _ended(error: Exception) -> Ended:
    missing = "No module named 'stylecli'" in str(error)
    refusal = UsageError("--cluster: stylecli is not installed on every node: install the same everywhere")
    return Ended(_first_line(error), refusal if missing else None)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    for line in text.splitlines():
        if "Error" in line or "exit" in line or "died" in line:
            return " ".join(line.split())[:200]
    return " ".join(text.split())[:200] or type(error).__name__
