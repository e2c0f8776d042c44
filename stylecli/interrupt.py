"""Ctrl-C that lets a long run end well."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def one_ctrl_c(
    says: str = "completing the frames in hand", signals: Sequence[signal.Signals] = (signal.SIGINT,)
) -> Iterator[threading.Event]:
    """Within: the first Ctrl-C sets the event, a second one interrupts as usual; so do other ``signals``.
    ``says``: what is done meanwhile."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    usual = {number: signal.getsignal(number) for number in signals}

    def gently(number: int, frame: object) -> None:
        stop.set()
        for each in signals:
            signal.signal(each, signal.default_int_handler)
        log.warning("interrupted: %s (Ctrl-C again stops at once)", says)

    for number in signals:
        signal.signal(number, gently)
    try:
        yield stop
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
