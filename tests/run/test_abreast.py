"""Several at a time, in order: with torch's threads shared out, and with what goes wrong raised at its place."""

import threading
import time

import pytest
import torch

from stylecli.run.abreast import in_order


@pytest.mark.parametrize("abreast", [1, 2, 4])
def test_in_the_order_in_which_they_went_in(abreast):
    def late(n):
        time.sleep(0.02 * (n % 3 == 0))
        return n * n

    assert list(in_order(late, iter(range(20)), abreast)) == [(n, n * n) for n in range(20)]


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

    list(in_order(count, range(9), 3))
    assert most == 3


def test_each_has_its_share_of_the_threads_and_they_come_back():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        shares = [threads for _, threads in in_order(lambda n: torch.get_num_threads(), range(6), 2)]
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

    results = in_order(work, iter(range(1000)), 2)
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

    results = in_order(lambda n: n, items(), 2)
    next(results)
    results.close()
    assert len(taken) < 10
