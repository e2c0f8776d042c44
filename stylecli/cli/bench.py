"""``stylize bench``: figures of this machine and of the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options

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
def video(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", exists=True, help="Films to paint.")],
    style: Annotated[
        list[Path],
        typer.Option("--style", "-s", metavar="IMAGE", exists=True, help="Style image; repeatable."),
    ],
    temporal: Annotated[float, typer.Option(min=0, max=1, metavar="X", help="As of stylize video.")] = 0.9,
    max_size: Annotated[int, typer.Option(min=16, metavar="PIXELS", help="Shrink to this.")] = 320,
    max_frames: Annotated[int, typer.Option(min=2, metavar="N", help="Of each film.")] = 150,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Time the stages instead, alone and together.")
    ] = False,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Peak memory instead, of 300 and 3000 generated frames of 640x360."),
    ] = False,
    stroke_size: options.StrokeSize = 1.0,
    json: options.Json = False,
) -> None:
    """Films: flicker against the input's own and against frame-by-frame painting; overlap; memory."""
    import dataclasses

    from stylecli.bench import video as measuring
    from stylecli.console import Console, print_json, print_table
    from stylecli.media.video.clip import Excerpt

    excerpt = Excerpt(max_frames=max_frames, max_size=max_size)
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]] = []
    with Console():
        if memory:
            headings = ("frames", "peak MB")
            found = measuring.peak_memory((300, 3000), style[0], stroke_size)
            objects = [{"frames": frames, "megabytes": peak} for frames, peak in found]
            rows = [(str(frames), f"{peak:.0f}") for frames, peak in found]
        elif overlap:
            headings = (
                "clip",
                "frames",
                "decode s",
                "motion s",
                "paint s",
                "encode s",
                "together s",
                "ratio",
            )
            paint = measuring.painter(style[0], stroke_size)
            timed = [measuring.overlap(clip, paint, excerpt, temporal) for clip in clips]
            objects = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in timed]
            for t in timed:
                times = (t.decode, t.motion, t.paint, t.encode, t.together)
                rows.append((t.clip, str(t.frames), *(f"{x:.2f}" for x in times), f"{t.ratio:.2f}"))
        else:
            headings = ("clip", "style", "frames", "input", "frame by frame", "steadied")
            headings += ("x input", "x frame by frame", "crispness")
            films = []
            for image in style:
                paint = measuring.painter(image, stroke_size)
                films += [measuring.flicker(clip, image, paint, excerpt, temporal) for clip in clips]
            objects = [dataclasses.asdict(row) for row in films]
            for f in films:
                errors = (f.input, f.frame_by_frame, f.steadied)
                ratios = (f.steadied / f.input, f.steadied / f.frame_by_frame, f.crispness)
                rows.append(
                    (
                        f.clip,
                        f.style,
                        str(f.frames),
                        *(f"{x:.2f}" for x in errors),
                        *(f"{x:.2f}" for x in ratios),
                    )
                )
    if json:
        for one in objects:
            print_json(one)
    else:
        print_table(headings, rows)


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
