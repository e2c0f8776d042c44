"""What commands that paint files share: from the job to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.cli.groups import Engine, Reading, Sharing, Telling
    from stylecli.console import Console
    from stylecli.paint.options import PaintOptions
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.events import Event
    from stylecli.run.face_report import Finding
    from stylecli.run.images import ImageJob
    from stylecli.run.plan import Plan
    from stylecli.run.style_specs import StyleSpec


class Job(Protocol):
    """Pictures or films to paint: ``ImageJob``, ``FilmJob``."""

    def plan(self, emit: Callable[[Event], None]) -> Plan: ...
    def run(self, plan: Plan, load: Callable[[], Stylizer], emit: Callable[[Event], None]) -> None: ...
    def faces(self, plan: Plan, emit: Callable[[Event], None]) -> Iterator[Finding]: ...
    @property
    def options(self) -> PaintOptions: ...


def paint_files(
    job: Job,
    load: Callable[[], Stylizer],
    telling: Telling,
    *,
    films: bool = False,
) -> None:
    """Plan the job, say what will be done, do it (with what ``load`` gives, called once it is needed), and exit."""
    from stylecli.console import Console

    dry_run = telling.dry_run
    with Console(quiet=telling.quiet, verbose=telling.verbose, json_lines=telling.json) as console:
        try:
            plan = job.plan(console.show)
            _check_streams(plan, json=telling.json, dry_run=dry_run)
            if dry_run and job.options.faces < 1:
                _show_faces(console, job.faces(plan, console.show))
            _explain(console, plan, dry_run=dry_run)
            if not dry_run:
                if plan.todo:
                    _paint(console, job, plan, load, films)
                console.summary()
                if telling.open:
                    _show([*console.made, *(task.target for task in plan.finished)])
        except KeyboardInterrupt:
            console.summary(interrupted=True)
            raise typer.Exit(130) from None
    raise typer.Exit(console.exit_code)


def picture_job(
    inputs: Sequence[str],
    specs: Sequence[StyleSpec],
    reading: Reading,
    sharing: Sharing,
    engine: Engine,
    **own: Any,
) -> ImageJob:
    """The job of pictures that groups of options describe; ``own``: what else a command knows of it."""
    from stylecli.run.images import ImageJob

    return ImageJob(
        inputs,
        specs,
        recursive=reading.recursive,
        shard=sharing.part,
        overwrite=reading.overwrite,
        max_size=reading.max_size,
        max_pixels=reading.max_pixels,
        memory_limit=engine.limit,
        kept=engine.kept,
        executor=sharing.executor(engine.device.value),
        **own,
    )


def paint_pictures(job: ImageJob, telling: Telling, *, watch: bool) -> None:
    """:func:`paint_files` of pictures, or of those that arrive in their folders."""
    from stylecli.run.executor import InProcess

    if watch:
        _watch_files(job, telling, alone=isinstance(job.executor, InProcess))
    paint_files(job, job.loading.load, telling)


def _watch_files(job: ImageJob, telling: Telling, *, alone: bool) -> None:
    """Paint what is complete in the job's folders, now and when it arrives, until Ctrl-C. ``alone``: in one process."""
    from stylecli.console import Console
    from stylecli.run.events import Warned
    from stylecli.run.watching import arrivals

    if telling.dry_run or not alone:
        other = "--dry-run" if telling.dry_run else "--jobs and --cluster"
        raise UsageError(f"--watch and {other} do not go together")
    stylizer = cache(job.loading.load)  # one network for all that comes
    told: set[Event] = set()

    def show(event: Event) -> None:
        if isinstance(event, Warned) and event in told:
            return  # each look at a folder finds the same that cannot be read
        told.update({event} if isinstance(event, Warned) else ())
        console.show(event)

    with Console(quiet=telling.quiet, verbose=telling.verbose, json_lines=telling.json) as console:
        try:
            coming = arrivals(job.inputs, recursive=job.recursive)
            console.say(f"watching {', '.join(job.inputs)}: Ctrl-C ends it")
            for places in coming:
                now = replace(job, only=places)
                plan = now.plan(show)
                if plan.todo:
                    console.start_bar(len(plan.todo))
                    try:
                        now.run(plan, stylizer, show)
                    finally:
                        console.stop_bar()
        except KeyboardInterrupt:
            pass
        console.summary()
    raise typer.Exit(console.exit_code)


def _show(results: Sequence[Path]) -> None:
    from stylecli.cli.opening import show
    from stylecli.run.events import STREAM

    show([path for path in results if path != STREAM])


def _check_streams(plan: Plan, *, json: bool, dry_run: bool) -> None:
    """Stdout has room for one thing: the picture, or JSON lines, or a person's terminal."""
    from stylecli.console import stdout_is_open
    from stylecli.run.events import STREAM

    if json and not stdout_is_open():
        raise UsageError("--json: stdout is closed")
    if all(task.target != STREAM for task in plan.todo):
        return
    if json:
        raise UsageError("--json and a picture cannot share stdout: give -o a file name")
    if not dry_run and not stdout_is_open():
        raise UsageError("-o -: stdout is closed")
    if not dry_run and sys.stdout.isatty():
        raise UsageError("the picture would go to the terminal: give -o a file name, or redirect stdout")


def _explain(console: Console, plan: Plan, *, dry_run: bool) -> None:
    """Say what is left out, and what a dry run would do."""
    if plan.own:
        shown = ", ".join(path.name for path in plan.own[:3]) + (", ..." if len(plan.own) > 3 else "")
        console.say(f"{len(plan.own)} left out as results of an earlier run: {shown}")
    count = len(plan.finished)
    if dry_run:
        for task in plan.todo:
            console.planned(task)
        console.say(f"dry run: {len(plan.todo)} to write, {count} exist already; nothing was written")
    elif count and not plan.todo and not console.tally.failed:
        console.say(f"everything done already: {count} of {count} exist, use --overwrite to make them again")
    elif count:
        console.say(f"{count} of {count + len(plan.todo)} exist already, use --overwrite to make them again")


def _show_faces(console: Console, findings: Iterator[Finding]) -> None:
    from stylecli.run.face_report import drawn

    for finding, path in drawn(findings):
        console.faces(finding.source, finding.words(), finding.faces, path)


def _paint(console: Console, job: Job, plan: Plan, load: Callable[[], Stylizer], films: bool) -> None:
    def load_and_tell() -> Stylizer:
        stylizer = load()
        console.detail(f"computing on {stylizer.device} in {str(stylizer.dtype).removeprefix('torch.')}")
        return stylizer

    console.start_bar(len(plan.todo), films=films)
    try:
        job.run(plan, load_and_tell, console.show)
    finally:
        console.stop_bar()
