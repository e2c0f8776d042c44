"""``stylize bench``: figures of this machine and of the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options, values
from stylecli.cli.measurements import can_be_written, deliver, save_plot
from stylecli.errors import UsageError
from stylecli.paint.options import TEMPORAL

if TYPE_CHECKING:
    pass

bench = typer.Typer(
    rich_markup_mode=None,
    help="Measure this machine, and what the networks paint. Without a command: a summary in about a minute.",
)


def vgg16_file() -> Path:
    """The weights named vgg16, fetched where they are missing."""
    from stylecli.console import Console
    from stylecli.weights import locate

    with Console():  # shows a download
        return locate("vgg16")


Markdown = Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write tables, plots and sheets as one HTML page, too.",
        callback=can_be_written,
    ),
]
Photographs = Annotated[
    Path, typer.Option("--photographs", metavar="DIR", exists=True, help="Folder of photographs.")
]
Styles = Annotated[Path, typer.Option("--styles", metavar="DIR", exists=True, help="Folder of style images.")]
Data = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", exists=True, help="Folder of artworks with a manifest.csv."),
]
Vgg = Annotated[
    Path | None,
    typer.Option("--vgg", metavar="FILE", show_default="weights named vgg16", help="VGG-16 as safetensors."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Save the plot as a PNG.", callback=can_be_written),
]
Repeats = Annotated[int, typer.Option(min=1, metavar="N", help="Times that everything is measured.")]


@bench.callback(invoke_without_command=True)
def _summary(
    context: typer.Context,
    device: options.DeviceOption = options.Device.auto,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Measure this machine, and what the networks paint."""
    if context.invoked_subcommand is not None:
        return
    from stylecli.bench import samples, speed
    from stylecli.console import Console

    with Console() as console:
        sections = speed.run((512, 1024), device=device.value, repeats=3, progress=console.say)
        sections.append(samples.run(device.value))
    deliver(sections, json, markdown, html)


@bench.command()
def speed(
    sizes: Annotated[
        list[int] | None,
        typer.Option(
            "--size",
            min=16,
            metavar="N",
            show_default="256 to 4096",
            help="Side of the photograph; repeatable.",
        ),
    ] = None,
    dtypes: Annotated[
        list[options.Dtype] | None,
        typer.Option("--dtype", show_default="auto", help="Number format; repeatable."),
    ] = None,
    device: options.DeviceOption = options.Device.auto,
    repeats: Repeats = 5,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Seconds per picture by size, where the time goes, and the whole command from a cold start."""
    from stylecli.bench import speed as measuring
    from stylecli.console import Console

    names = tuple(dtype.value for dtype in dtypes or [options.Dtype.auto])
    with Console() as console:
        sections = measuring.run(sizes or measuring.SIZES, names, device.value, repeats, console.say)
    deliver(sections, json, markdown, html)


@bench.command()
def quality(
    photographs: Photographs,
    styles: Styles,
    vgg: Vgg = None,
    most: Annotated[
        int, typer.Option(min=1, metavar="N", help="Photographs, and styles, to take at most.")
    ] = 20,
    size: Annotated[
        int, typer.Option(min=16, metavar="N", help="Side that photographs are cut to, in pixels.")
    ] = 512,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also two slow methods, on some of the pairs.")
    ] = False,
    output: Output = None,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """How much of a style image arrives in a painting, and how much of the photograph stays."""
    from stylecli.bench import quality as measuring
    from stylecli.console import Console

    vgg16 = vgg or vgg16_file()
    with Console() as console:
        sections = measuring.run(photographs, styles, vgg16, most, size, baselines, console.say)
    save_plot(sections[0], output)
    deliver(sections, json, markdown, html)


@bench.command()
def kernels(
    device: options.DeviceOption = options.Device.auto,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default="all cores", help="CPU threads to use."),
    ] = None,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Time the operators: bandwidth against a plain copy, and against the same work in plain PyTorch."""
    from stylecli.bench import kernels as measuring
    from stylecli.devices import choose_device

    rows = measuring.run(choose_device(device), threads)
    deliver([measuring.section(rows)], json, markdown, html)


@bench.command()
def text(
    data: Data,
    photographs: Photographs,
    vgg: Vgg = None,
    photos: Annotated[int, typer.Option(min=1, metavar="N", help="Photographs to paint.")] = 10,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Are phrases recognised: does a classifier of real artworks name what was asked for?"""
    from stylecli.bench import prompts as measuring
    from stylecli.console import Console

    vgg16 = vgg or vgg16_file()
    with Console() as console:
        rows = measuring.run(data, photographs, vgg16, photos, progress=console.say)
    deliver([measuring.section(rows)], json, markdown, html)


@bench.command()
def convergence(
    photographs: Photographs,
    photos: Annotated[int, typer.Option(min=1, metavar="N", help="Photographs to refine on.")] = 3,
    iterations: Annotated[int, typer.Option(min=2, metavar="N", help="Length of the plain run.")] = 100,
    output: Output = None,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """How many iterations of --refine each kind of loss needs to get as far as the plain one."""
    from stylecli.bench import convergence as measuring
    from stylecli.console import Console

    with Console() as console:
        section = measuring.section(
            measuring.run(photographs, photos, iterations, progress=console.say), photographs
        )
    save_plot(section, output)
    deliver([section], json, markdown, html)


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
    output: Output = None,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Time and peak memory of whole commands on ever larger photographs."""
    from stylecli.bench import scale as measuring
    from stylecli.console import Console

    try:
        sizes = [float(size) for size in megapixels.split(",")]
    except ValueError:
        raise UsageError(f"--megapixels {megapixels}: sizes are written like 1,4,16") from None
    values.tile_rows(tile)
    limit = values.memory_bytes(memory_limit)
    extra = ["--stroke-size", str(stroke_size), "--tile", tile, "--max-pixels", "4000000000"]
    extra += [] if memory_limit is None else ["--memory-limit", memory_limit]
    with Console() as console:
        rows = list(measuring.run(sizes, extra, prompt, progress=console.say))
    section = measuring.section(rows, limit)
    save_plot(section, output)
    deliver([section], json, markdown, html)


@bench.command()
def video(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", exists=True, help="Films to paint.")],
    style: Annotated[
        list[Path],
        typer.Option("--style", "-s", metavar="IMAGE", exists=True, help="Style image; repeatable."),
    ],
    temporal: Annotated[float, typer.Option(min=0, max=1, metavar="X", help="As in stylize video.")] = (
        TEMPORAL
    ),
    max_size: Annotated[
        int, typer.Option(min=16, metavar="PIXELS", help="Shrink films so that the longer side fits.")
    ] = 320,
    max_frames: Annotated[int, typer.Option(min=2, metavar="N", help="Frames of each film, at most.")] = 150,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Time the stages instead, alone and together.")
    ] = False,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Peak memory instead, of 300 and 3000 generated frames of 640x360."),
    ] = False,
    stroke_size: options.StrokeSize = 1.0,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Flicker of painted films beside the input's own; or the time of each stage, or memory."""
    from stylecli.bench import video as measuring
    from stylecli.console import Console
    from stylecli.media.video.clip import Excerpt

    excerpt = Excerpt(max_frames=max_frames, max_size=max_size)
    with Console():
        if memory:
            section = measuring.memory_section(measuring.peak_memory((300, 3000), style[0], stroke_size))
        elif overlap:
            paint = measuring.painter(style[0], stroke_size)
            section = measuring.overlap_section(
                [measuring.overlap(clip, paint, excerpt, temporal) for clip in clips]
            )
        else:
            painters = {image: measuring.painter(image, stroke_size) for image in style}
            section = measuring.flicker_section(
                [
                    measuring.flicker(clip, image, paint, excerpt, temporal)
                    for image, paint in painters.items()
                    for clip in clips
                ]
            )
    deliver([section], json, markdown, html)


@bench.command(name="all")
def everything(
    photographs: Annotated[
        Path | None, typer.Option(metavar="DIR", exists=True, help="Photographs, for quality and text.")
    ] = None,
    styles: Annotated[
        Path | None, typer.Option(metavar="DIR", exists=True, help="Style images, for quality.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", exists=True, help="Artworks with a manifest.csv, for text.")
    ] = None,
    clips: Annotated[
        list[Path] | None,
        typer.Option("--clip", metavar="FILE", exists=True, help="Film, for video; repeatable."),
    ] = None,
    vgg: Vgg = None,
    device: options.DeviceOption = options.Device.auto,
    json: options.Json = False,
    markdown: Markdown = False,
    html: Html = None,
) -> None:
    """Everything that the given folders allow, one after the other. Takes a while."""
    from stylecli.bench import everything as measuring
    from stylecli.console import Console

    inputs = measuring.Inputs(photographs, styles, data, tuple(clips or ()), vgg)
    with Console() as console:
        sections = measuring.run(inputs, device.value, console.say)
    deliver(sections, json, markdown, html)
