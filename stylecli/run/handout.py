"""Which pictures go to which worker, and what becomes of those in the hands of one that dies.

A worker has a few sources in hand, so that it reads the next while it paints. Where it dies, any of them may have been
the cause: from then on each is handed out alone, to a worker with nothing else, so that the one that kills is found and
none of the others suffers for it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stylecli.run.events import Done, Event, Failed, Skipped
from stylecli.run.plan import Task
from stylecli.run.stream import Portion, portions

_IN_HAND = 3  # portions: one is painted, one is read, one waits
_DEATHS = 3  # of workers over a picture; then it is given up
_PIECES = 4  # portions for each worker at least, where there are styles enough


def shares(todo: Sequence[Task], workers: int) -> list[Portion]:
    """Portions of ``todo``; where there are few sources for so many workers, their styles are shared out too."""
    whole = portions(todo)
    wanted = _PIECES * workers
    if len(whole) >= wanted:
        return whole
    most = max(1, len(todo) // wanted)
    return [one[at : at + most] for one in whole for at in range(0, len(one), most)]


@dataclass
class _Hand:
    """What one worker has."""

    held: list[set[Task]] = field(default_factory=list)  # of each portion what is not ended yet
    alone: bool = False


class Handout:
    """Portions that are waiting, and those in hand. Workers are known by anything that can be a key."""

    def __init__(self, waiting: Sequence[Portion]) -> None:
        self._waiting = deque(waiting)
        self._suspects: deque[Portion] = deque()
        self._hands: dict[Hashable, _Hand] = {}
        self._deaths: Counter[Path] = Counter()

    @property
    def over(self) -> bool:
        """Whether everything has ended."""
        return not self.waiting and not any(hand.held for hand in self._hands.values())

    @property
    def waiting(self) -> int:
        """How many portions are in nobody's hand."""
        return len(self._waiting) + len(self._suspects)

    def take(self, worker: Hashable) -> Portion | None:
        """What ``worker`` is to do now besides what it has; None for nothing."""
        hand = self._hands.setdefault(worker, _Hand())
        if not hand.held:
            hand.alone = bool(self._suspects)
            if self._suspects:
                return self._give(hand, self._suspects.popleft())
        if hand.alone or len(hand.held) >= _IN_HAND or not self._waiting:
            return None
        return self._give(hand, self._waiting.popleft())

    def ended(self, worker: Hashable, event: Event) -> None:
        """Cross out what ``event`` of ``worker`` says to be over."""
        if not isinstance(event, Done | Failed | Skipped) or event.target is None or event.style is None:
            return
        hand, task = self._hands[worker], Task(event.source, event.target, event.style)
        for held in hand.held:
            held.discard(task)
        hand.held = [held for held in hand.held if held]

    def died(self, worker: Hashable) -> list[Task]:
        """Take back what ``worker`` had in hand; returns the tasks of pictures that are given up."""
        lost = self._hands.pop(worker, _Hand()).held
        given_up: list[Task] = []
        for source in {task.source for held in lost for task in held}:
            self._deaths[source] += 1
        for held in lost:
            left = sorted(held, key=lambda task: str(task.target))
            if self._deaths[left[0].source] >= _DEATHS:
                given_up += left
            else:
                self._suspects.append(tuple(left))
        return given_up

    def _give(self, hand: _Hand, portion: Portion) -> Portion:
        hand.held.append(set(portion))
        return portion
