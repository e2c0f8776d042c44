"""At which size to paint, and in strips of how many rows: decided from the memory that is free."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stylecli.errors import OutOfMemoryError
from stylecli.memory import process_memory, show_size
from stylecli.models.descriptor import MemoryProfile

_LEAST_ROWS = 32  # of a strip: with fewer the work is mostly done twice
_MOST_ROWS = 512  # more would save no time
_LEAST_SIDE = 256  # a painting of less, enlarged, is worse than a line that says what is missing


@dataclass(frozen=True)
class TilePlan:
    """At which size to paint, and in strips of how many rows; None: at once."""

    height: int
    width: int
    rows: int | None


def plan_tiles(
    height: int,
    width: int,
    memory: MemoryProfile | None,
    tile: int | None,
    room: int,
    strip_room: int | None = None,
) -> TilePlan:
    """Decide how to paint at a size.

    Args:
        memory: of the network; None where it cannot be tiled.
        tile: rows of a strip as asked for; 0: at once; None: what memory allows.
        room: free main memory. strip_room: free memory of a graphics card, where strips are computed there.

    Returns:
        The same size, or the largest for which there is room.

    Raises:
        OutOfMemoryError: there is none.
    """
    if memory is None or tile == 0:
        return TilePlan(height, width, None)
    if tile is not None:
        return TilePlan(height, width, tile)
    if memory.always + memory.whole * height * width <= (room if strip_room is None else strip_room):
        return TilePlan(height, width, None)
    for step in range(200):
        share = 0.97**step
        h, w = round(height * share), round(width * share)
        if min(h, w) < min(_LEAST_SIDE, height, width):
            break
        left = room - memory.always - memory.held * h * w
        rows = left if strip_room is None else strip_room - memory.always
        rows = math.floor(rows / (memory.strip * w))
        if left >= 0 and rows >= min(_LEAST_ROWS, h):
            return TilePlan(h, w, min(rows, _MOST_ROWS))
    needed = memory.always + memory.held * _LEAST_SIDE**2
    raise OutOfMemoryError(
        f"not enough memory to paint: {show_size(room)} may be used beside the {show_size(process_memory())} that the "
        f"program holds, at least {show_size(needed)} are needed"
    )
