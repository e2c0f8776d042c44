"""``stylize bench``: figures of this machine and of the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options
from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.bench.kernels import Row

bench = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure this machine, and what the networks paint.",
)


@bench.callback()
def _group() -> None:
    """Measure this machine, and what the networks paint."""


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


@bench.command()
def text(
    data: Annotated[
        Path, typer.Option(metavar="DIR", exists=True, help="Folder of artworks with a manifest.csv.")
    ],
    photographs: Annotated[Path, typer.Option(metavar="DIR", exists=True, help="Folder of photographs.")],
    vgg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default="weights named vgg16", help="VGG-16 as safetensors."),
    ] = None,
    photos: Annotated[int, typer.Option(min=1, metavar="N", help="Photographs to paint.")] = 10,
    json: options.Json = False,
) -> None:
    """Prompt recognition: does a classifier of real artworks name what a phrase asked for?"""
    import dataclasses

    from stylecli.bench import prompts as measuring
    from stylecli.console import Console, print_json, print_table
    from stylecli.weights import locate

    with Console() as console:
        rows = measuring.run(data, photographs, vgg or locate("vgg16"), photos, progress=console.say)
    if json:
        for row in rows:
            print_json(dataclasses.asdict(row))
    else:
        cells = [
            (
                r.pictures,
                str(r.count),
                f"{r.top1:.2f}",
                f"{r.top3:.2f}",
                "" if r.ssim is None else f"{r.ssim:.2f}",
            )
            for r in rows
        ]
        print_table(("pictures", "count", "top-1", "top-3", "SSIM"), cells)


@bench.command()
def convergence(
    photographs: Annotated[Path, typer.Option(metavar="DIR", exists=True, help="Folder of photographs.")],
    photos: Annotated[int, typer.Option(min=1, metavar="N", help="Photographs to refine on.")] = 3,
    iterations: Annotated[int, typer.Option(min=2, metavar="N", help="Length of the plain run.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Draw the curves as a PNG.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Refinement: iterations until the directional loss is where the plain one gets, by the losses used."""
    import dataclasses

    from stylecli.bench import convergence as measuring
    from stylecli.console import Console, print_json, print_table

    with Console() as console:
        rows = measuring.run(photographs, photos, iterations, progress=console.say)
    if output is not None:
        measuring.draw(rows).save(output, format="PNG")
    if json:
        for row in rows:
            print_json(dataclasses.asdict(row))
    else:
        cells = [(r.losses, f"{r.iterations:.1f}", f"{r.reached:.0%}", f"{r.curve[-1]:.3f}") for r in rows]
        print_table(("losses", "iterations", "reached", "last loss"), cells)


@bench.command()
def scale(
    megapixels: Annotated[
        str, typer.Option("--megapixels", metavar="A,B,...", help="Sizes of the photographs.")
    ] = "1,4,16,64,100",
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", metavar="TEXT", help="Measure stylize text instead of image."),
    ] = None,
    stroke_size: options.StrokeSize = 1.0,
    tile: options.Tile = "auto",
    memory_limit: options.MemoryLimit = "4G",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Draw the curves as a PNG.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Time and peak memory of whole runs on ever larger photographs, each in a process of its own."""
    import dataclasses

    from stylecli.bench import scale as measuring
    from stylecli.console import Console, print_json, print_table
    from stylecli.memory import show_size

    try:
        sizes = [float(size) for size in megapixels.split(",")]
    except ValueError:
        raise UsageError(f"--megapixels {megapixels}: sizes are written like 1,4,16") from None
    options.tile_rows(tile)
    limit = options.memory_bytes(memory_limit)
    extra = ["--stroke-size", str(stroke_size), "--tile", tile, "--max-pixels", "4000000000"]
    extra += [] if memory_limit is None else ["--memory-limit", memory_limit]
    with Console() as console:
        rows = list(measuring.run(sizes, extra, prompt, progress=console.say))
    if output is not None:
        measuring.plot(rows, limit).save(output, format="PNG")
    if json:
        for row in rows:
            print_json(dataclasses.asdict(row))
        return
    cells = [
        (
            f"{r.width} × {r.height}",
            f"{r.megapixels:.1f}",
            f"{r.seconds:.1f}",
            f"{r.seconds / r.megapixels:.2f}",
            show_size(r.peak),
        )
        for r in rows
    ]
    print_table(("size", "megapixels", "seconds", "s/megapixel", "peak memory"), cells)
    power = measuring.exponent(rows)
    if power is not None:
        with Console() as console:
            console.say(f"time grows with the number of pixels to the power of {power:.2f}")


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
