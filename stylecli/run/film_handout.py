"""Which worker paints which film, or stretch of one; what they tell of stretches becomes what is told of films."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from stylecli.errors import StylizeError
from stylecli.files.claim import claimed
from stylecli.media.video.clip import Part
from stylecli.media.video.encoding import GOP_FRAMES
from stylecli.run.events import Advanced, Done, Event, Failed, FilmDone, Notice, Started, Warned
from stylecli.run.film_checkpoint import FilmCheckpoint, Progress
from stylecli.run.film_inputs import workplace
from stylecli.run.film_parts import SHARED, Joining, Stretch
from stylecli.run.handout import Handout
from stylecli.run.plan import Task
from stylecli.run.stream import Portion, failed


@dataclass
class _Film:
    """One that several work on, or one alone."""

    task: Task
    stretches: tuple[Stretch, ...]
    claim: ExitStack | None = None
    ended: bool = False
    done: set[Path] = field(default_factory=set)  # targets of stretches
    frames: dict[Path, Advanced] = field(default_factory=dict)
    seconds: float = 0.0
    said: set[Event] = field(default_factory=set)


class FilmHandout(Handout):
    """Each worker has one film or stretch in hand. Results are claimed here, where nothing dies with a worker."""

    def __init__(
        self, films: Sequence[tuple[Task, Sequence[Stretch]]], emit: Callable[[Event], None], *, goes_on: bool
    ) -> None:
        """Films with their stretches, which may be none. ``goes_on``: with what an earlier run has left."""
        self._films = [_Film(task, tuple(stretches)) for task, stretches in films]
        self._goes_on = goes_on
        self._of: dict[tuple[Path, str], _Film] = {}
        portions: list[Portion] = []
        for film in self._films:
            tasks = film.stretches or (film.task,)
            self._of |= {(task.target, task.style): film for task in (film.task, *tasks)}
            portions += [(task,) for task in tasks]
        self._most: dict[Path, int] = {}  # frames that anybody has reached
        super().__init__(portions, emit, in_hand=1)

    def take(self, worker: Hashable) -> Portion | None:
        while portion := super().take(worker):
            film = self._film(portion[0])
            if not film.ended and (film.claim is not None or self._claim(film)):
                return portion
            self._hands[worker].held.clear()
        return None

    def heard(self, worker: Hashable, event: Event) -> None:
        task = next((task for held in self._hands[worker].held for task in held), None)
        self._cross_out(worker, event)
        if task is None:
            self._emit(event)
            return
        film = self._film(task)
        if isinstance(event, Advanced) and event.frames >= self._most.get(task.target, 0) + GOP_FRAMES:
            self._most[task.target] = event.frames
            del self._deaths[task.target]  # it has come further than those that ended before
        if film.ended:
            return
        if isinstance(event, Failed):
            self._given_up(event)
        elif isinstance(task, Stretch):
            self._of_stretch(film, task, event)
        elif isinstance(task, Joining) and isinstance(event, FilmDone):
            self._end(film, replace(event, seconds=film.seconds))
        elif isinstance(task, Joining) and isinstance(event, Started):
            pass
        elif isinstance(event, Done):
            self._end(film, event)
        else:
            self._once(film, event)

    def stopped(self) -> None:
        for film in self._films:
            if film.stretches and film.claim is not None and not film.ended:
                text = "stretches of it are painted; the same command with --resume goes on"
                self._emit(Warned(film.task.source, text))

    def close(self) -> None:
        for film in self._films:
            if film.claim is not None:
                film.claim.close()

    def _film(self, task: Task) -> _Film:
        return self._of[task.target, task.style]

    def _cause(self, task: Task) -> Path:
        return task.target

    def _given_up(self, event: Failed) -> None:
        assert event.target is not None and event.style is not None
        film = self._of[event.target, event.style]
        if not film.ended:
            self._end(film, replace(event, target=film.task.target))

    def _of_stretch(self, film: _Film, stretch: Stretch, event: Event) -> None:
        task = film.task
        if isinstance(event, Started):
            self._once(film, replace(event, target=task.target))
        elif isinstance(event, Advanced):
            film.frames[stretch.target] = event
            self._emit(self._progress(film))
        elif isinstance(event, Done):
            film.done.add(stretch.target)
            film.seconds += event.seconds
            if len(film.done) == len(film.stretches):
                joining = Joining(task.source, task.target, task.style, film.stretches)
                self._waiting.appendleft((joining,))
        else:
            self._once(film, event)

    def _progress(self, film: _Film) -> Advanced:
        frames, rate, bytes = 0, 0.0, 0
        for stretch in film.stretches:
            told = film.frames.get(stretch.target)
            if stretch.target in film.done:
                frames += stretch.end - stretch.first
            elif told is not None:
                frames += max(0, told.frames - stretch.first)
                rate += told.rate
            bytes += told.bytes if told is not None else 0
        total = film.stretches[-1].end
        return Advanced(film.task.source, film.task.style, frames, total, rate, bytes)

    def _once(self, film: _Film, event: Event) -> None:
        """What every stretch says is said once."""
        if not (film.stretches and isinstance(event, Notice | Started) and event in film.said):
            self._emit(event)
        film.said.add(event)

    def _claim(self, film: _Film) -> bool:
        """Whether the result is ours; what an earlier run has left is taken up, or goes."""
        stack, target = ExitStack(), workplace(film.task.target)
        try:
            stack.enter_context(claimed(target))
            checkpoint = FilmCheckpoint(target)
            if not self._goes_on:
                checkpoint.remove()
            if film.stretches and checkpoint.read() is None:
                checkpoint.begin()
                checkpoint.write(Progress(SHARED), None, Part(groups=0))
        except (StylizeError, OSError) as error:
            stack.close()
            self._end(film, failed(film.task, error))
            return False
        film.claim = stack
        return True

    def _end(self, film: _Film, event: Event) -> None:
        film.ended = True
        if film.claim is not None:
            film.claim.close()
            film.claim = None
        self._emit(event)
