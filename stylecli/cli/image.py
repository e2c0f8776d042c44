"""``stylize image``: photographs and folders of them, each in every style."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options
from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.console import Console
    from stylecli.run.images import ImageJob
    from stylecli.run.plan import Plan
    from stylecli.stylizer import Stylizer


def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Images, folders, glob patterns in quotes, or - for stdin."),
    ],
    style: options.Styles = None,
    blend: options.Blends = None,
    strength: options.Strength = 1.0,
    stroke_size: options.StrokeSize = 1.0,
    preserve_color: options.PreserveColor = False,
    seed: options.Seed = 0,
    output: options.Output = None,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    max_size: options.MaxSize = None,
    max_pixels: options.MaxPixels = 400_000_000,
    format: options.Format = None,
    quality: options.Quality = None,
    dry_run: options.DryRun = False,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    weights: options.Weights = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylize images: every INPUT in every style, beside it as photo.style.png or where -o says.

    Results that exist already are skipped, so that an interrupted run can simply be started again.
    """
    from stylecli.console import Console
    from stylecli.run.images import ImageJob
    from stylecli.run.looks import collect_looks
    from stylecli.run.painters import Manner

    job = ImageJob(
        inputs,
        collect_looks(style or [], blend or []),
        output=output,
        recursive=recursive,
        overwrite=overwrite,
        max_size=max_size,
        max_pixels=max_pixels,
        format=format,
        quality=quality,
        manner=Manner(strength, preserve_color, stroke_size, seed),
    )
    with Console(quiet=quiet, verbose=verbose, json_lines=json) as console:
        try:
            plan = job.plan(console.show)
            _check_streams(plan, json=json, dry_run=dry_run)
            _explain(console, plan, dry_run=dry_run)
            if not dry_run:
                if plan.todo:
                    _paint(console, job, plan, device, dtype, weights)
                console.summary()
        except KeyboardInterrupt:
            console.summary(interrupted=True)
            raise typer.Exit(130) from None
    raise typer.Exit(console.tally.exit_code)


def _check_streams(plan: Plan, *, json: bool, dry_run: bool) -> None:
    """Stdout has room for one thing: the picture, or JSON lines, or a person's terminal."""
    from stylecli.run.events import STREAM

    if all(item.target != STREAM for item in plan.todo):
        return
    if json:
        raise UsageError("--json and a picture cannot share stdout: give -o a file name")
    if not dry_run and sys.stdout.isatty():
        raise UsageError("the picture would go to the terminal: give -o a file name, or redirect stdout")


def _explain(console: Console, plan: Plan, *, dry_run: bool) -> None:
    """Say what is left out, and what a dry run would do."""
    if plan.own:
        shown = ", ".join(path.name for path in plan.own[:3]) + (", ..." if len(plan.own) > 3 else "")
        console.say(f"{len(plan.own)} left out as results of an earlier run: {shown}")
    count = len(plan.finished)
    if dry_run:
        for item in plan.todo:
            console.planned(item)
        console.say(f"dry run: {len(plan.todo)} to write, {count} exist already; nothing was written")
    elif count and not plan.todo:
        console.say(f"everything done already: {count} of {count} exist, use --overwrite to make them again")
    elif count:
        console.say(f"{count} of {count + len(plan.todo)} exist already, use --overwrite to make them again")


def _paint(
    console: Console,
    job: ImageJob,
    plan: Plan,
    device: options.Device,
    dtype: options.Dtype,
    weights: Path | None,
) -> None:
    def load() -> Stylizer:
        from stylecli.stylizer import Stylizer

        stylizer = Stylizer.from_pretrained(device=device.value, dtype=dtype.value, weights=weights)
        console.detail(f"computing on {stylizer.device} in {str(stylizer.dtype).removeprefix('torch.')}")
        return stylizer

    console.start_bar(len(plan.todo))
    try:
        job.run(plan, load, console.show)
    finally:
        console.stop_bar()
