"""Ctrl-C that lets a long run end well."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)


@contextmanager
def one_ctrl_c(
    says: str = "completing the frames in hand", signals: Sequence[signal.Signals] = (signal.SIGINT,)
) -> Iterator[threading.Event]:
    """Within: the first Ctrl-C sets the event, a second one interrupts as usual; so do other ``signals``.
    ``says``: what is done meanwhile; empty: nothing is said."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    usual = {number: signal.getsignal(number) for number in signals}

    def gently(number: int, frame: object) -> None:
        stop.set()
        for each in signals:
            signal.signal(each, signal.default_int_handler)
        if says:
            log.warning("interrupted: %s (Ctrl-C again stops at once)", says)

    for number in signals:
        signal.signal(number, gently)
    try:
        yield stop
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


@contextmanager
def at_no_lock(stopped: threading.Event) -> Iterator[threading.Event]:
    """Within: a Ctrl-C that comes while this thread is in a queue sets ``stopped`` and the event that is given, instead
    of interrupting it there, where the queue might stay locked for ever; a second one interrupts as usual."""
    interrupted = threading.Event()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupted
        return

    def unless_waiting(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set() or not waits(frame):
            raise KeyboardInterrupt
        interrupted.set()
        stopped.set()

    signal.signal(signal.SIGINT, unless_waiting)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def waits(frame: FrameType | None) -> bool:
    """Whether a thread is in a queue or at a lock of Python's own."""
    while frame is not None:
        if frame.f_code.co_filename in (queue.__file__, threading.__file__):
            return True
        frame = frame.f_back
    return False
