"""A map of features that is computed strip by strip: what it looks like to a network, and how it is evaluated."""

from __future__ import annotations

import logging
import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecli.errors import OutOfMemoryError, is_out_of_memory
from stylecli.memory import give_back

log = logging.getLogger(__name__)

Range = tuple[int, int]  # rows, the second one excluded
Handler = Callable[..., Any]

LEAST_ROWS = 16  # of a strip, at any level: with fewer, nearly all the work would be halo

HANDLERS: dict[Any, Handler] = {}
"""What each of torch's functions does to ``LazyFeatureMap``; filled by ``local.py`` and ``whole.py``."""


@dataclass
class Grid:
    """How one picture is cut up; shared by all its maps.

    Attributes:
        height: of the picture, in rows. rows: of a strip of it; made smaller when memory runs out.
        device: where strips are computed. What is held stays in main memory.
    """

    height: int
    rows: int
    device: torch.device

    def step(self, height: int) -> int:
        """Rows of a strip of a map of that height."""
        return max(LEAST_ROWS, self.rows * height // self.height)

    def shrink(self) -> bool:
        """Halve the strips; False where they are as small as they get."""
        if self.rows <= LEAST_ROWS:
            return False
        smaller = max(LEAST_ROWS, min(self.rows, self.height) // 2)
        log.info(f"not enough memory for strips of {self.rows} rows: going on with {smaller}")
        self.rows = smaller
        give_back()
        return True


class LazyFeatureMap:
    """Stands for a tensor (B, C, H, W) or (B, H, W, C) in the code of a network; has its shape, dtype and device.

    Either ``parents`` is empty and ``read(top, bottom)`` gives rows, or rows are computed from those of the parents:
    ``needs(top, bottom)`` says which rows of each, ``run(inputs, ranges, top, bottom)`` makes these rows from them.
    """

    def __init__(
        self,
        grid: Grid,
        shape: Sequence[int],
        dtype: torch.dtype,
        *,
        axis: int = 2,
        parents: Sequence[LazyFeatureMap] = (),
        needs: Callable[[int, int], list[Range]] | None = None,
        run: Callable[[list[Tensor], list[Range], int, int], Tensor] | None = None,
        read: Callable[[int, int], Tensor] | None = None,
    ):
        self.grid, self.shape, self.dtype, self.axis = grid, torch.Size(shape), dtype, axis
        self.parents, self.needs, self.run, self.read = tuple(parents), needs, run, read
        self.kept: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return self.grid.device

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.shape[self.axis]

    def rows(self, top: int, bottom: int) -> Tensor:
        return evaluate([self], top, bottom)[0]

    def cut(self, rows: Tensor, of: Range, wanted: Range) -> Tensor:
        """Some of the rows of a strip."""
        return rows.narrow(self.axis, wanted[0] - of[0], wanted[1] - wanted[0])

    def materialize(self) -> LazyFeatureMap:
        """Compute it as a whole now, and forget how; returns itself."""
        materialize_all(self)
        return self

    def whole(self) -> Tensor:
        """All of its rows, in main memory."""
        materialize_all(self)
        assert self.kept is not None
        return self.kept

    def keep(self, whole: Tensor) -> None:
        """From now on these are its numbers."""
        axis, device = (
            self.axis,
            self.grid.device,
        )  # not self: a circle would keep it alive after its last use
        self.kept, self.parents, self.needs, self.run = whole, (), None, None
        self.read = lambda top, bottom: whole.narrow(axis, top, bottom - top).to(device)

    # What makes it pass for a tensor: every function of torch ends here.

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        handler = HANDLERS.get(func)
        if handler is None:
            raise NotImplementedError(f"{getattr(func, '__name__', func)} is not known to stylecli/tiling")
        return handler(func, *args, **(kwargs or {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Tensor, name):
            raise AttributeError(name)
        method = getattr(Tensor, name)
        return lambda *args, **kwargs: LazyFeatureMap.__torch_function__(method, (), (self, *args), kwargs)

    def __getitem__(self, index: Any) -> Any:
        return HANDLERS[Tensor.__getitem__](Tensor.__getitem__, self, index)

    def __add__(self, other: Any) -> Any:
        return torch.add(self, other)  # type: ignore

    def __sub__(self, other: Any) -> Any:
        return torch.sub(self, other)  # type: ignore

    def __mul__(self, other: Any) -> Any:
        return torch.mul(self, other)  # type: ignore

    __radd__, __rmul__ = __add__, __mul__


def evaluate(targets: Sequence[LazyFeatureMap], top: int, bottom: int) -> list[Tensor]:
    """The same rows of several maps of one height; what they have in common is computed once."""
    order = _parents_first(targets)
    wanted: dict[LazyFeatureMap, Range] = dict.fromkeys(targets, (top, bottom))
    uses = dict.fromkeys(order, 0)
    for node in reversed(order):
        if node.needs is None:
            continue
        for parent, (a, b) in zip(node.parents, node.needs(*wanted[node]), strict=True):
            first, last = wanted.get(parent, (a, b))
            wanted[parent] = min(a, first), max(b, last)
            uses[parent] += 1
    for target in targets:
        uses[target] += 1
    done: dict[LazyFeatureMap, Tensor] = {}
    for node in order:
        span = wanted[node]
        if node.read is not None:
            done[node] = node.read(*span)
            continue
        assert node.needs is not None and node.run is not None
        ranges = node.needs(*span)
        inputs = [p.cut(done[p], wanted[p], part) for p, part in zip(node.parents, ranges, strict=True)]
        done[node] = node.run(inputs, ranges, *span)
        del inputs
        for parent in node.parents:
            uses[parent] -= 1
            if not uses[parent]:
                del done[parent]
    return [target.cut(done[target], wanted[target], (top, bottom)) for target in targets]


def _parents_first(targets: Sequence[LazyFeatureMap]) -> list[LazyFeatureMap]:
    """All that ``targets`` are computed from, every map after its parents."""
    order: dict[LazyFeatureMap, None] = {}
    stack = [(target, False) for target in reversed(targets)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order[node] = None
        elif node not in order:
            stack.append((node, True))
            stack += [(parent, False) for parent in node.parents if parent not in order]
    return list(order)


def sweep(*targets: LazyFeatureMap) -> Iterator[tuple[int, int, list[Tensor]]]:
    """All rows of some maps of one height, strip by strip: first row, last (excluded), and the rows of each.

    A strip for which memory does not suffice is tried again with half the rows. Raises OutOfMemoryError where nothing
    is left to halve.
    """
    grid, height = targets[0].grid, targets[0].height
    top = 0
    while top < height:
        bottom = min(height, top + grid.step(height))
        try:
            rows = evaluate(targets, top, bottom)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            error.__traceback__ = None  # it keeps the strip that did not fit alive
            if not grid.shrink():
                raise OutOfMemoryError("not enough memory even for the smallest strips") from None
            continue
        yield top, bottom, rows
        del rows
        top = bottom


def materialize_all(*maps: LazyFeatureMap) -> None:
    """Compute maps of one height as a whole, together."""
    maps = tuple(one for one in dict.fromkeys(maps) if one.kept is None)
    if not maps:
        return
    wholes = [empty(one.shape, one.dtype, one.axis) for one in maps]
    for top, bottom, parts in sweep(*maps):
        for one, whole, part in zip(maps, wholes, parts, strict=True):
            whole.narrow(one.axis, top, bottom - top).copy_(part)
        del parts, part
    for one, whole in zip(maps, wholes, strict=True):
        one.keep(whole)


def empty(shape: Sequence[int], dtype: torch.dtype, axis: int = 1) -> Tensor:
    """Room for a whole map in main memory, in which rows follow one another whatever the order of its axes.

    Straight from the system, which gets it back with the last use of it: of what torch allocates in between for its
    strips, the C library keeps large parts for itself.
    """
    rows_first = [shape[0], *shape[2:], shape[1]] if axis == 2 else list(shape)
    size = math.prod(shape) * dtype.itemsize
    try:
        room = mmap.mmap(-1, size)
    except OSError:  # strips that did not fit may have left much behind
        give_back()
        room = mmap.mmap(-1, size)
    whole = torch.frombuffer(room, dtype=dtype).view(rows_first)
    return whole.permute(0, 3, 1, 2) if axis == 2 else whole
