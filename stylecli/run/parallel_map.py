"""Work on several things at the same time that come out in the order in which they went in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer

_MOST = 4
_BATCH_PIXELS = 2**18  # painted in one call on a CPU
_MOST_ON_CARD = 16  # frames in one call; more save no time
_PIXELS = 2**23  # of frames that are painted at the same time
_ROOM = 4 << 30  # bytes of free memory; with less, one after the other

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def frames_in_parallel(stylizer: Stylizer, pixels: int) -> int:
    """How many frames of so many pixels ``stylizer`` should paint at the same time.

    On a CPU a frame for each core, or for some of them, takes less time than all cores for each frame: nobody waits for
    the slowest, and threads that decode or encode meanwhile do not hold up all others. One where memory is counted or
    short.
    """
    import torch

    from stylecli.memory import free_memory

    counted = stylizer.tile is not None or stylizer.memory_limit is not None
    if counted or free_memory(None) < _ROOM:
        return 1
    if stylizer.device.type != "cpu":
        return 2  # what one sends and fetches overlaps with the painting of the other
    return max(1, min(_MOST, torch.get_num_threads(), _PIXELS // pixels))


def frames_per_batch(stylizer: Stylizer, width: int, height: int) -> int:
    """How many frames of that size ``stylizer`` should paint in one call: several small ones take less time together.

    On a card as many as a quarter of its free memory holds, for there are others beside them.
    """
    from stylecli.devices import free_on
    from stylecli.paint.size import working_size

    room, memory = free_on(stylizer.device), stylizer.descriptor.memory
    if room is None or memory is None:
        return max(1, min(8, _BATCH_PIXELS // (width * height)))
    h, w = working_size(height, width, stylizer.descriptor.working_side, 1.0, stylizer.descriptor.smallest)
    return max(1, min(_MOST_ON_CARD, (room // 4 - memory.always) // (memory.whole * h * w)))


def threads_beside(stylizer: Stylizer) -> int:
    """How many threads should follow a film's motion, and how many steady it, beside ``stylizer`` which paints it.

    One on a CPU, whose cores the painting takes. A card paints faster than one core follows.
    """
    import torch

    if stylizer.device.type == "cpu":
        return 1
    return max(1, min(_MOST, torch.get_num_threads() // 2))


def ordered_parallel_map(
    work: Callable[[_Item], _Result], tasks: Iterable[_Item], workers: int
) -> Generator[tuple[_Item, _Result]]:
    """``in_order`` for what is done with torch: each thread has its share of torch's threads."""
    if workers == 1:
        yield from in_order(work, tasks, 1)
        return
    import torch

    threads = torch.get_num_threads()
    # (A thread's number of threads is its own, but new threads begin with the number that was set last.)
    share = partial(torch.set_num_threads, max(1, threads // workers))
    try:
        yield from in_order(work, tasks, workers, "paint", share)
    finally:
        torch.set_num_threads(threads)


def in_order(
    work: Callable[[_Item], _Result],
    tasks: Iterable[_Item],
    workers: int,
    name: str = "",
    begin: Callable[[], object] | None = None,
) -> Generator[tuple[_Item, _Result]]:
    """Each task with what ``work`` makes of it; so many are worked on at the same time, in threads of that ``name``
    that each ``begin`` so. Raises what ``work`` raises, at that task."""
    if workers == 1:
        for task in tasks:
            yield task, work(task)
        return
    begun: deque[tuple[_Item, Future[_Result]]] = deque()
    pool = ThreadPoolExecutor(workers, name, begin)
    try:
        for task in tasks:
            begun.append((task, pool.submit(work, task)))
            if len(begun) > workers:  # the next one is waiting when one is done
                first, result = begun.popleft()
                yield first, result.result()
        while begun:
            first, result = begun.popleft()
            yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
