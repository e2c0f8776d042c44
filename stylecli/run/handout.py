"""Which portions of the work go to which worker, and what becomes of those in the hands of one that dies.

A worker has a few sources in hand, so that it reads the next while it paints. Where it dies, any of them may have been
the cause: from then on each is handed out alone, to a worker with nothing else, so that the one that kills is found and
none of the others suffers for it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
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
    """Portions that are waiting, and those in hand; tells through ``emit`` what comes of them. Workers are known by
    anything that can be a key."""

    def __init__(
        self, waiting: Sequence[Portion], emit: Callable[[Event], None], *, in_hand: int = _IN_HAND
    ) -> None:
        self._waiting, self._emit, self._in_hand = deque(waiting), emit, in_hand
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
        if hand.alone or len(hand.held) >= self._in_hand or not self._waiting:
            return None
        return self._give(hand, self._waiting.popleft())

    def heard(self, worker: Hashable, event: Event) -> None:
        """Cross out what ``event`` of ``worker`` says to be over, and pass it on."""
        self._cross_out(worker, event)
        self._emit(event)

    def died(self, worker: Hashable, reason: str) -> None:
        """Take back what ``worker`` had in hand. What has ended too many is given up."""
        lost = self._hands.pop(worker, _Hand()).held
        for cause in {self._cause(task) for held in lost for task in held}:
            self._deaths[cause] += 1
        for held in lost:
            left = sorted(held, key=lambda task: str(task.target))
            if self._deaths[self._cause(left[0])] < _DEATHS:
                self._suspects.append(tuple(left))
                continue
            for task in left:
                text = f"three workers that had it in hand ended ({reason}): left out"
                self._given_up(Failed(task.source, text, task.target, task.style))

    def stopped(self) -> None:
        """After Ctrl-C, once no worker is left."""

    def close(self) -> None:
        """However the run has ended."""

    def _cause(self, task: Task) -> Path:
        """What is held to have ended a worker."""
        return task.source

    def _given_up(self, event: Failed) -> None:
        self._emit(event)

    def _cross_out(self, worker: Hashable, event: Event) -> Task | None:
        """The task that has ended; None where none has."""
        hand = self._hands.get(worker)
        if hand is None or not isinstance(event, Done | Failed | Skipped):
            return None
        ended = None
        for held in hand.held:
            for task in [one for one in held if (one.target, one.style) == (event.target, event.style)]:
                held.discard(task)
                ended = task
        hand.held = [held for held in hand.held if held]
        return ended

    def _give(self, hand: _Hand, portion: Portion) -> Portion:
        hand.held.append(set(portion))
        return portion
