"""Learning rates over a run."""

from __future__ import annotations

import math

from stylecli.training.recipe import Optimizer


def rate(settings: Optimizer, step: int, share: float) -> float:
    """Linear warm-up over the first steps, flat, then a cosine from the share ``decay_from`` of the run down to the
    share ``floor``; ``share``: how much of the run is over, 0..1."""
    lr = settings.lr * min(1.0, (step + 1) / max(1, settings.warm_up))
    fallen = max(0.0, share - settings.decay_from) / max(1e-9, 1 - settings.decay_from)
    return lr * (settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * fallen)))
