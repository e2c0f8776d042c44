"""Ctrl-C that lets a long run end well."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def one_ctrl_c() -> Iterator[threading.Event]:
    """Within: the first Ctrl-C sets the event, a second one interrupts as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    usual = signal.getsignal(signal.SIGINT)

    def gently(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log.warning("interrupted: completing the frames in hand (Ctrl-C again stops at once)")

    signal.signal(signal.SIGINT, gently)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)
