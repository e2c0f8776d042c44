"""A job of the command line, done in a thread: its events come out one by one, and it can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING

from stylecli.run.events import Advanced, Done, Event, Failed, Skipped, Started, Warned

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.films import FilmJob
    from stylecli.run.images import ImageJob


def carry_out(job: ImageJob | FilmJob, stylizer: Stylizer, stop: threading.Event) -> Iterator[Event]:
    """The events of ``job``, until it is done, ``stop`` is set or nobody wants more of them. Raises what it raises.

    The thread ends before this does.
    """
    given_up = threading.Event()
    events: SimpleQueue[Event | BaseException | None] = SimpleQueue()

    def emit(event: Event) -> None:
        events.put(event)
        if stop.is_set() or given_up.is_set():
            raise KeyboardInterrupt

    def work() -> None:
        try:
            plan = job.plan(emit)
            if plan.todo:
                job.run(plan, lambda: stylizer, emit)
            events.put(None)
        except BaseException as error:
            events.put(error)

    thread = threading.Thread(target=work, name="job", daemon=True)
    thread.start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, KeyboardInterrupt):
                return
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        given_up.set()
        thread.join()


def told(event: Event) -> str:
    """An event in words for the page; empty for what is not worth any."""
    name = event.source.name
    if isinstance(event, Started):
        return f"painting {name} …"
    if isinstance(event, Advanced):
        if event.total is None:
            return f"{name}: {event.frames} frames, {event.rate:.1f}/s"
        left = max(0, event.total - event.frames) / max(event.rate, 1e-9)
        clock = f"{int(left) // 60}:{int(left) % 60:02}"
        return f"{name}: {event.frames} of {event.total} frames, {event.rate:.1f}/s, {clock} left"
    if isinstance(event, Done):
        return f"{name} is painted"
    if isinstance(event, Failed):
        return f"{name}: {event.reason}"
    if isinstance(event, Skipped):
        return f"{name}: {event.reason}"
    return f"{name}: {event.text}" if isinstance(event, Warned) else ""
