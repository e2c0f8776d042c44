"""``stylize bench``: figures of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options

if TYPE_CHECKING:
    from stylecli.bench.kernels import Row

bench = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure speed on this machine.",
)


@bench.callback()
def _group() -> None:
    """Measure speed on this machine."""


@bench.command()
def kernels(
    device: options.DeviceOption = options.Device.auto,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="all cores", help="CPU threads to use."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Time the operators: bandwidth against a plain copy, and against the same work in plain PyTorch."""
    import dataclasses

    from stylecli.bench import kernels as measuring
    from stylecli.console import print_json, print_table
    from stylecli.stylizer import choose_device

    rows = measuring.run(choose_device(device), threads)
    if json:
        for row in rows:
            print_json(dataclasses.asdict(row))
    else:
        print_table(HEADINGS, map(_cells, rows))


HEADINGS = (
    "operator",
    "size",
    "dtype",
    "path",
    "ms",
    "ns each",
    "GB/s",
    "of copy",
    "x read",
    "vs torch",
    "vs loop",
)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.op,
        row.size,
        row.dtype,
        row.path,
        f"{row.seconds * 1e3:.2f}",
        f"{row.ns_per_element:.2f}",
        f"{row.bandwidth / 1e9:.2f}",
        f"{row.copy_share:.0%}",
        f"{row.read_ratio:.1f}",
        f"{row.torch_ratio:.1f}",
        "" if row.loop_ratio is None else f"{row.loop_ratio:.0f}",
    )
