"""``stylize kernels``: the compiled operators of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylecli.cli import options
from stylecli.errors import StylizeError, UsageError

if TYPE_CHECKING:
    from stylecli.console import Console

kernels = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The compiled kernels: what is in use and why, build, check.",
)


@kernels.command()
def status(json: options.Json = False) -> None:
    """Show which path each operator takes here, why, and when it was proven. Compiles and proves what is not yet."""
    from stylecli.console import Console, print_json
    from stylecli.devices import here
    from stylecli.ops.status import status as take_stock

    with Console(quiet=json) as console:
        state = take_stock(here())
        if json:
            print_json(state)
        else:
            _show(console, state)


@kernels.command()
def build(
    force: Annotated[bool, typer.Option("--force", help="Compile again what is compiled already.")] = False,
) -> None:
    """Compile the kernels now instead of at first use. Exit code 1 where that fails."""
    from stylecli.console import Console
    from stylecli.devices import here
    from stylecli.ops.status import status as take_stock

    _check_wanted()
    with Console() as console:
        if force:
            _clean()
        state = take_stock(here())
        _show(console, state)
    raise typer.Exit(0 if state["cpu"]["reason"] is None else 1)


@kernels.command()
def clean() -> None:
    """Remove the compiled kernels from the cache, and nothing else."""
    from stylecli.console import Console
    from stylecli.ops import cache

    count = _clean()
    with Console() as console:
        console.say(f"{count} {'file' if count == 1 else 'files'} removed from {cache.folder()}")


@kernels.command()
def test() -> None:
    """Prove the kernels again, at full length: every operator, forward and backward, against its float64 reference, and
    a painting against the CPU's. Exit code 1 if one fails; what failed is not used from then on."""
    from stylecli.console import Console
    from stylecli.devices import here
    from stylecli.ops import proof

    _check_wanted()
    row = "{:<18}{:<8}{:<10}{:<10}{:<10}{:>10}{:>10}  {}".format
    failed = total = 0
    with Console() as console:
        console.say(row("operator", "device", "dtype", "pass", "path", "error", "limit", "verdict"))
        for device in here():
            outcome = proof.renew(device)
            for r in outcome.rows:
                verdict = f"FAILED {r['problem']}" if r["problem"] else "ok"
                error, limit = f"{r['error']:.1e}", f"{r['limit']:.0e}"
                console.say(
                    row(r["op"], r["device"], r["dtype"], r["part"], r["path"], error, limit, verdict)
                )
                total, failed = total + 1, failed + bool(r["problem"])
            told = {r["op"] for r in outcome.rows if r["problem"]}
            ends = {op: o.problem for op, o in outcome.operators.items() if o.problem and op not in told}
            if outcome.painting_problem:
                ends["painting"] = outcome.painting_problem
            for what, problem in ends.items():
                console.say(row(what, str(device), "", "", "", "", "", f"FAILED {problem}"))
            total, failed = total + len(ends), failed + len(ends)
            for dtype, (decibels, _) in outcome.paintings.items():
                if dtype != "reference":
                    console.say(
                        f"painting on {device} in {dtype}: {decibels:.0f} dB from plain torch on the CPU"
                    )
        console.say(f"{failed} of {total} failed" if failed else f"all {total} within their limits")
    raise typer.Exit(1 if failed else 0)


def _check_wanted() -> None:
    from stylecli.ops.kernel_mode import VARIABLE, kernels_wanted

    if not kernels_wanted():
        raise UsageError(f"{VARIABLE}=off: nothing is compiled; unset it first")


def _clean() -> int:
    from stylecli.ops import cache

    try:
        return cache.clean()
    except OSError as error:
        raise StylizeError(f"{error.filename} cannot be removed: {error.strerror}") from error


def _show(console: Console, state: dict[str, Any]) -> None:
    cpu = state["cpu"]
    if cpu["reason"]:
        library = f"none: {cpu['reason']}" + (f"; see {cpu['log']}" if cpu["log"] else "")
    else:
        library = cpu["library"] or "made anew for each run"
    console.say(f"library   {library}")
    if cpu["about"]:
        console.say(f"compiler  {cpu['about']}")
    console.say(f"threads   {cpu['threads']}")
    for device in state["devices"]:
        proven = f"proven {device['proven']}" if device["proven"] else "nothing proven"
        beside = "".join(f", {what} {how}" for what, how in device["beside"].items())
        console.say(f"{device['device']:<10}{device['name']}, {proven}{beside}")
    for row in state["operators"]:
        worst = f", off by {max(row['errors'].values()):.0e}" if row["errors"] else ""
        console.say("{op:<18}{device:<8}{path:<10}{why}".format(**row) + worst)
