"""Learning rates over a run."""

from __future__ import annotations

import math

from stylecli.training.recipe import Optimizer


def rate(settings: Optimizer, step: int, steps: int) -> float:
    """Linear warm-up, flat, then a cosine from the share ``decay_from`` of the run down to the share ``floor``."""
    lr = settings.lr * min(1.0, (step + 1) / max(1, settings.warm_up))
    begin = settings.decay_from * steps
    share = max(0.0, step - begin) / max(1.0, steps - begin)
    return lr * (settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * share)))
