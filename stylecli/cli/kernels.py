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
    """Show which path each operator takes here, and why. Compiles what is not compiled yet."""
    from stylecli.console import Console, print_json
    from stylecli.ops.status import status as take_stock

    with Console(quiet=json) as console:
        state = take_stock()
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
    from stylecli.ops.status import status as take_stock
    from stylecli.ops.switch import VARIABLE, kernels_wanted

    if not kernels_wanted():
        raise UsageError(f"{VARIABLE}=off: nothing is compiled; unset it first")
    with Console() as console:
        if force:
            _clean()
        state = take_stock()
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
    """Check every operator, forward and backward, against its float64 reference. Exit code 1 if one fails."""
    from stylecli.console import Console
    from stylecli.ops.check import check_all

    row = "{:<18}{:<8}{:<10}{:<10}{:<10}{:>10}{:>10}  {}".format
    failed = total = 0
    with Console() as console:
        console.say(row("operator", "device", "dtype", "pass", "path", "error", "limit", "verdict"))
        for r in check_all():
            verdict = "ok" if r.passed else f"FAILED {r.problem}".rstrip()
            error, limit = f"{r.error:.1e}", f"{r.limit:.0e}"
            console.say(row(r.op, r.device, r.dtype, r.part, r.path, error, limit, verdict))
            total, failed = total + 1, failed + (not r.passed)
        console.say(f"{failed} of {total} failed" if failed else f"all {total} within their limits")
    raise typer.Exit(1 if failed else 0)


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
    console.say(f"card      {state['cuda'] or 'none that torch can use'}")
    for row in state["operators"]:
        console.say("{op:<18}{device:<8}{path:<10}{why}".format(**row))
