"""Several at a time, in order: with torch's threads shared out, and with what goes wrong raised at its place."""

import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from stylecli import devices
from stylecli.devices import own_stream
from stylecli.models.style_rwkv.descriptor import DESCRIPTOR
from stylecli.run.parallel_map import (
    frames_in_parallel,
    frames_per_batch,
    ordered_parallel_map,
    threads_beside,
)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_in_the_order_in_which_they_went_in(workers):
    def late(n):
        time.sleep(0.02 * (n % 3 == 0))
        return n * n

    assert list(ordered_parallel_map(late, iter(range(20)), workers)) == [(n, n * n) for n in range(20)]


def test_as_many_at_the_same_time_as_asked_for_and_no_more():
    now, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3)  # nobody passes alone

    def count(n):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(timeout=30)
        with lock:
            now -= 1

    list(ordered_parallel_map(count, range(9), 3))
    assert most == 3


def test_each_has_its_share_of_the_threads_and_they_come_back():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        shares = [
            threads for _, threads in ordered_parallel_map(lambda n: torch.get_num_threads(), range(6), 2)
        ]
        assert shares == [2] * 6 and torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_an_error_is_raised_at_its_place_and_ends_the_rest():
    begun = []

    def work(n):
        begun.append(n)
        if n == 3:
            raise ValueError("the fourth")
        return n

    results = ordered_parallel_map(work, iter(range(1000)), 2)
    assert [next(results)[1] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(results)
    assert len(begun) < 10


def test_left_early_it_takes_no_more():
    taken = []

    def items():
        for n in range(1000):
            taken.append(n)
            yield n

    results = ordered_parallel_map(lambda n: n, items(), 2)
    next(results)
    results.close()
    assert len(taken) < 10


# A graphics card, as far as one can be made of threads: which streams there are, and what comes out.


class Card:
    """Stands in for ``torch.cuda``: remembers on which stream each thread works."""

    def __init__(self):
        self.now, self.used = threading.local(), set()

    def Stream(self, device):
        return object()

    @contextmanager
    def stream(self, stream):
        before, self.now.stream = getattr(self.now, "stream", None), stream
        yield
        self.now.stream = before


def test_threads_of_a_card_have_streams_of_their_own_and_results_keep_their_order(monkeypatch):
    card, device = Card(), torch.device("cuda", 0)
    monkeypatch.setattr(torch, "get_device_module", lambda device: card)
    both = threading.Barrier(2)

    def paint(n):
        with own_stream(device):
            both.wait(timeout=30)  # two are at it at the same time
            card.used.add((threading.get_ident(), card.now.stream))
            return 10 * n

    assert list(ordered_parallel_map(paint, range(6), 2)) == [(n, 10 * n) for n in range(6)]
    assert (
        len(card.used) == len({thread for thread, _ in card.used}) == len({one for _, one in card.used}) == 2
    )


@pytest.mark.parametrize(
    ("free", "size", "at_once"),
    [
        (None, (1920, 1080), 1),
        (None, (320, 240), 3),
        (80 << 30, (1920, 1080), 16),
        (1 << 30, (1920, 1080), 1),
    ],
)
def test_frames_in_one_call_by_memory(monkeypatch, free, size, at_once):
    monkeypatch.setattr(devices, "free_on", lambda device: free)
    device = torch.device("cpu" if free is None else "cuda")
    stylizer = SimpleNamespace(device=device, descriptor=DESCRIPTOR, tile=None, memory_limit=None)
    assert frames_per_batch(stylizer, *size) == at_once
    if free is not None:
        assert frames_in_parallel(stylizer, size[0] * size[1]) == 2


@pytest.mark.parametrize(("kind", "cores", "threads"), [("cpu", 16, 1), ("cuda", 16, 4), ("cuda", 1, 1)])
def test_threads_beside_a_card_are_of_cores_that_it_leaves(monkeypatch, kind, cores, threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert threads_beside(SimpleNamespace(device=torch.device(kind))) == threads
