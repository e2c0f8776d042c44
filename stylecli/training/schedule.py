"""Learning rates over a run."""

from __future__ import annotations

import math


def cosine(lr: float, step: int, steps: int, decay_from: float, warm_up: int = 100) -> float:
    """Linear warm-up, flat, then a cosine down to 2 % from the share ``decay_from`` of the run."""
    lr *= min(1.0, (step + 1) / warm_up)
    begin = decay_from * steps
    if step < begin:
        return lr
    share = (step - begin) / max(1.0, steps - begin)
    return lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
