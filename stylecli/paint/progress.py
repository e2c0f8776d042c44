"""How far an optimisation is, told now and then: refining and polishing take a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Progress = Callable[[int, float], None]
"""Told the iteration, from 1, and its loss."""


class ProgressLog:
    """A ``Progress`` that logs every so many iterations: the loss, seconds for each and seconds left."""

    def __init__(self, doing: str, loss: str, iterations: int, every: int):
        self.doing, self.loss, self.iterations, self.every = doing, loss, iterations, every
        self.begun = time.monotonic()

    def __call__(self, iteration: int, loss: float) -> None:
        if iteration % self.every == 0 or iteration in (1, self.iterations):
            each = (time.monotonic() - self.begun) / iteration
            log.info(
                f"{self.doing}: {iteration} of {self.iterations}, {self.loss} {loss:.3f}, {each:.2f} s each, "
                f"{each * (self.iterations - iteration):.0f} s left"
            )
