"""The stream: order, failures that stay alone, one read for several styles, a clean stop."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stylecli.errors import InputError, OutOfMemoryError, WeightsError
from stylecli.interrupt import waits
from stylecli.media import Picture
from stylecli.run.events import Done, Event, Failed, Started, Tally, Warned
from stylecli.run.plan import Task
from stylecli.run.stream import PaintFunction, Work, portions, stream


class Bench:
    """Pretend files: reading fails for names with "bad", painting for "hard", writing for "full"."""

    def __init__(self, writers: int = 1) -> None:
        self.writers = writers
        self.reads: list[str] = []
        self.written: dict[str, Picture] = {}
        self.events: list[Event] = []
        self.loads = 0
        self.threads: set[str] = set()

    def read(self, path: Path) -> Picture:
        self.reads.append(path.name)
        if "bad" in path.name:
            raise InputError(f"{path}: not an image")
        if "bug" in path.name:
            raise ZeroDivisionError("oops")
        notices = ("first page only",) if "pages" in path.name else ()
        return Picture(np.full((4, 6, 3), len(self.reads) / 100, np.float32), notices=notices)

    def painters(self) -> dict[str, PaintFunction]:
        self.loads += 1
        return {"x": self.paint, "y": lambda pixels: 1 - pixels, "huge": self.refuse}

    def paint(self, pixels: np.ndarray) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        return pixels / 2

    def refuse(self, pixels: np.ndarray) -> np.ndarray:
        raise OutOfMemoryError("not enough memory")

    def write(self, picture: Picture, task: Task) -> tuple[str, ...]:
        target = task.target
        if "full" in target.name:
            raise InputError(f"{target}: the disk is full")
        self.written[target.name] = picture
        return ("EXIF left out",) if "plain" in target.name else ()

    def run(self, *names: str, styles: tuple[str, ...] = ("x",), read: Callable | None = None) -> Tally:
        tasks = [Task(Path(name), Path(f"{name}.{style}"), style) for name in names for style in styles]
        work = Work(
            read or self.read, self.painters, lambda *result: self.write(*result), writers=self.writers
        )
        stream(portions(tasks), work, self.events.append)
        tally = Tally()
        for event in self.events:
            tally.add(event)
        return tally

    def ended(self) -> list[str]:
        return [event.source.name for event in self.events if isinstance(event, Done | Failed)]


@pytest.fixture(params=[1, 3], ids=["one writer", "three writers"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def left_over() -> set[str]:
    """Threads of a run that should have ended. (Other libraries may keep some of their own.)"""
    return {"read", "write"} & {thread.name for thread in threading.enumerate()}


def test_everything_is_done_in_order(bench: Bench) -> None:
    names = [f"{number}.png" for number in range(30)]
    tally = bench.run(*names)
    assert (tally.done, tally.failed, tally.exit_code) == (30, 0, 0)
    assert bench.ended() == names
    assert bench.threads == {threading.current_thread().name}  # Ctrl-C and CUDA want the main thread
    assert bench.written["0.png.x"].pixels == pytest.approx(0.005)


def test_results_are_written_at_the_same_time_and_told_in_order() -> None:
    bench, names = Bench(writers=3), [str(number) for number in range(9)]
    together = threading.Barrier(3)
    write = bench.write

    def wait_for_two_others(picture: Picture, task: Task) -> tuple[str, ...]:
        together.wait(timeout=60)
        time.sleep(0.02 * (9 - int(task.source.name)))  # the later, the sooner done
        return write(picture, task)

    bench.write = wait_for_two_others  # type: ignore[method-assign]
    assert bench.run(*names).done == 9
    assert bench.ended() == names and [*bench.written] != [f"{name}.x" for name in names]
    assert not left_over()


def test_a_picture_is_read_once_for_several_styles(bench: Bench) -> None:
    bench.run("a", "b", styles=("x", "y"))
    assert bench.reads == ["a", "b"]
    assert list(bench.written) == ["a.x", "a.y", "b.x", "b.y"]
    assert bench.loads == 1


def test_failures_stay_alone_and_in_order(bench: Bench) -> None:
    tally = bench.run("a", "bad1", "b", "full", "bug", "c", "bad2")
    assert bench.ended() == ["a", "bad1", "b", "full", "bug", "c", "bad2"]
    assert (tally.done, tally.failed, tally.exit_code) == (3, 4, 1)
    reasons = {event.source.name: event.reason for event in bench.events if isinstance(event, Failed)}
    assert reasons["bad1"] == "not an image"
    assert reasons["full"] == "full.x: the disk is full"
    assert "ZeroDivisionError: oops" in reasons["bug"]
    assert "bug" in reasons["bug"]
    traces = [event.trace for event in bench.events if isinstance(event, Failed) and event.trace]
    assert len(traces) == 1
    assert "Traceback" in traces[0]


def test_memory_alone_to_blame_is_exit_4(bench: Bench) -> None:
    assert bench.run("a", styles=("huge",)).exit_code == 4
    assert bench.run("bad", styles=("huge",)).exit_code == 1


def test_nothing_readable_never_loads_the_network(bench: Bench) -> None:
    assert bench.run("bad1", "bad2").failed == 2
    assert bench.loads == 0


def test_a_network_that_cannot_be_loaded_ends_the_run(bench: Bench) -> None:
    def missing() -> dict[str, PaintFunction]:
        raise WeightsError("weights are missing")

    bench.painters = missing  # type: ignore[method-assign]
    with pytest.raises(WeightsError):
        bench.run(*(f"{number}" for number in range(20)))
    assert not left_over()
    assert bench.written == {}


def test_notices_of_reading_and_writing(bench: Bench) -> None:
    bench.run("pages", "plain")
    notices = [(event.source.name, event.text) for event in bench.events if isinstance(event, Warned)]
    assert notices == [("pages", "first page only"), ("plain", "EXIF left out")]
    assert [type(event) for event in bench.events[:2]] == [Warned, Started]  # what is lost is said without -v


def test_interrupt_finishes_the_file_being_written_and_no_other(bench: Bench) -> None:
    def interrupt_at_third(pixels: np.ndarray) -> np.ndarray:
        if len(bench.threads) == 0 and len(bench.written) >= 2:
            raise KeyboardInterrupt
        return pixels

    bench.paint = interrupt_at_third  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.run(*(f"{number}" for number in range(50)))
    assert not left_over()
    assert 2 <= len(bench.written) < 10
    assert bench.ended() == sorted((name.removesuffix(".x") for name in bench.written), key=int)


def test_ctrl_c_while_it_waits_ends_it_without_a_lock_that_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.default_int_handler)
    handlers: list[Callable[..., None]] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.append(handler))
    main = threading.main_thread().ident
    waiting = threading.Event()

    def read(path: Path) -> Picture:
        """Ctrl-C comes while the main thread waits for this picture."""
        frame = sys._current_frames()[main]  # type: ignore[index]
        while not waits(frame):
            frame = sys._current_frames()[main]  # type: ignore[index]
        handlers[0](signal.SIGINT, frame)  # raises nothing here: it would be raised at a lock
        waiting.set()
        raise InputError("never told")

    bench.read = read  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.run("0", "1")
    assert waiting.is_set() and not left_over() and bench.events == []
    with pytest.raises(KeyboardInterrupt):  # a second one does not wait
        handlers[0](signal.SIGINT, sys._current_frames()[main])  # type: ignore[index]
    assert handlers[1:] == [signal.default_int_handler]


def test_reading_ahead_is_bounded(bench: Bench) -> None:
    """A folder of huge scans must not be read into memory while the first one is painted."""
    begun = threading.Event()
    huge = np.zeros((1, 1, 3), np.float32)
    ahead: list[int] = []

    def read(path: Path) -> Picture:
        bench.reads.append(path.name)
        return Picture(np.broadcast_to(huge, (8000, 8000, 3)))

    def slow(pixels: np.ndarray) -> np.ndarray:
        begun.wait(0.3)
        ahead.append(len(bench.reads) - len(bench.written))
        return pixels

    bench.paint = slow  # type: ignore[method-assign]
    assert bench.run("a", "b", "c", "d", "e", read=read).done == 5
    assert max(ahead) <= 2


def test_a_bug_in_the_callback_ends_the_run_instead_of_hanging(bench: Bench) -> None:
    tasks = [Task(Path(str(number)), Path(f"{number}.x"), "x") for number in range(20)]

    def emit(event: Event) -> None:
        if isinstance(event, Done):
            raise RuntimeError("a bug in the console")

    with pytest.raises(RuntimeError, match="a bug in the console"):
        stream(portions(tasks), Work(bench.read, bench.painters, bench.write), emit)
    assert not left_over()
