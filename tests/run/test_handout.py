"""Who gets which picture, and what becomes of those of a worker that dies."""

from __future__ import annotations

from pathlib import Path

from stylecli.run.events import Done, Event, Failed
from stylecli.run.handout import Handout, shares
from stylecli.run.plan import Task


def tasks(sources: int, styles: int = 1) -> list[Task]:
    return [
        Task(Path(f"{source}"), Path(f"{source}.{style}"), f"{style}")
        for source in range(sources)
        for style in range(styles)
    ]


def ignore(event: Event) -> None:
    pass


def done(task: Task) -> Done:
    return Done(task.source, task.target, task.style, 1.0, 8, 8)


def test_few_sources_in_many_styles_are_shared_too() -> None:
    assert [len(one) for one in shares(tasks(1, 16), 2)] == [2] * 8
    assert [len(one) for one in shares(tasks(40, 3), 2)] == [3] * 40  # each is read once
    for sources, styles, workers in ((1, 1, 4), (3, 7, 2), (2, 5, 40)):
        todo = tasks(sources, styles)
        assert [task for one in shares(todo, workers) for task in one] == todo
        assert all(len({task.source for task in one}) == 1 for one in shares(todo, workers))


def test_a_worker_has_three_portions_in_hand() -> None:
    handout = Handout(shares(tasks(10), 2), ignore)
    mine = [handout.take("a") for _ in range(4)]
    assert mine[3] is None and all(mine[:3])
    assert handout.take("b") and handout.waiting == 6
    handout.heard("a", done(mine[0][0]))  # type: ignore[index]
    assert handout.take("a") is not None and handout.take("a") is None


def test_suspects_go_alone_and_the_third_death_is_the_last() -> None:
    told: list[Event] = []
    handout = Handout(shares(tasks(5), 1), told.append)
    portions = [handout.take(0) for _ in range(3)]
    handout.died(0, "SIGKILL")
    assert told == [] and handout.waiting == 5
    culprit = portions[1][0].source  # type: ignore[index]
    worker = 1
    while not handout.over:
        portion = handout.take(worker)
        assert portion is not None
        if portion[0].source == culprit:
            assert handout.take(worker) is None  # nothing besides
            handout.died(worker, "SIGKILL")
            worker += 1
            continue
        for task in portion:
            handout.heard(worker, done(task))
    (failed,) = [event for event in told if isinstance(event, Failed)]
    assert failed.source == culprit and failed.reason.startswith("three workers that had it in hand ended")
    assert sorted(event.source for event in told if isinstance(event, Done)) == [Path(n) for n in "0234"]
    assert worker == 3  # it killed 0, 1 and 2


def test_styles_that_are_done_are_not_done_again() -> None:
    todo = tasks(1, 3)
    handout = Handout([tuple(todo)], ignore)
    handout.take("a")
    handout.heard("a", done(todo[0]))
    handout.heard("a", Failed(todo[2].source, "no", todo[2].target, todo[2].style))
    handout.died("a", "SIGKILL")
    assert handout.take("b") == (todo[1],)
