"""How to paint, as the user asked for it."""

from __future__ import annotations

from dataclasses import dataclass

TEMPORAL = 0.975
"""How firmly strokes of a film follow what moves, unless asked otherwise."""


@dataclass(frozen=True)
class PaintOptions:
    """How to paint: ``strength`` 0..1, ``stroke_size`` above 0 with 1 as the usual size, ``seed`` 0 .. 2^31 - 1,
    ``refine`` iterations that adapt the network to each prompt first."""

    strength: float = 1.0
    preserve_color: bool = False
    stroke_size: float = 1.0
    seed: int = 0
    refine: int = 0
