"""Options that several commands share, each defined once."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from stylecli.cli.values import finite, go_offline
from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.run.style_specs import StyleSpec


class Device(str):
    """The name of a device, such as "cuda:1". Which of them there are, torch knows, which is not imported here."""

    auto: ClassVar[Device]

    @property
    def value(self) -> str:
        return str(self)

    @classmethod
    def parse(cls, text: str) -> Device:
        one = r"(cpu|cuda|mps|xpu)(:(\d+|all))?"
        if not re.fullmatch(rf"auto|{one}(,{one})*", text):
            raise typer.BadParameter(
                f"{text}: choose auto, cpu, cuda, cuda:1, mps or xpu; several as in cuda:0,cuda:1 or cuda:all"
            )
        return cls(text)


Device.auto = Device("auto")


class Dtype(StrEnum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


def style_specs(
    styles: list[Path] | None,
    prompts: list[str] | None,
    blends: list[str] | None,
    takes: int = 1,
    regions: list[str] | None = None,
    feather: float = 0.0,
) -> list[StyleSpec]:
    """Of --style, --prompt, --blend and --region. Raises UsageError."""
    from stylecli.run.style_specs import collect_styles, parse_regions

    if not regions:
        return collect_styles(styles or [], blends or [], prompts or [], takes)
    if styles or prompts or blends:
        raise UsageError(
            "--region says which style goes where: drop --style, --blend and --prompt (rest:STYLE paints the rest)"
        )
    return [parse_regions(regions, feather)]


# Style.
Styles = Annotated[
    list[Path] | None,
    typer.Option(
        "--style",
        "-s",
        metavar="IMAGE",
        help="Style image, a folder of them, or a ready style such as @woodblock (@all: every one); repeat for one "
        "result in each style.",
    ),
]
Blends = Annotated[
    list[str] | None,
    typer.Option(
        "--blend",
        metavar="A:0.7,B:0.3",
        help="Mix style images and phrases by weight into one style; repeatable.",
    ),
]
Strength = Annotated[
    float,
    typer.Option(
        metavar="X", min=0, max=1, callback=finite, help="0 gives the input back, 1 the full style."
    ),
]
StrokeSize = Annotated[
    float,
    typer.Option(
        "--stroke-size",
        "--scale-strokes",
        metavar="X",
        min=0.1,
        max=10,
        callback=finite,
        help="Apparent size of the brush strokes.",
    ),
]
PreserveColor = Annotated[
    bool,
    typer.Option(
        "--preserve-color",
        "--preserve-colour",
        "--luma-only",
        help="Keep the input's colours: only its lightness is painted.",
    ),
]
ColourOnly = Annotated[
    bool,
    typer.Option("--colour-only", "--color-only", help="Take the style's colours, and none of its strokes."),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, max=2**31 - 1, help="The same seed gives the same result.")
]

Refine = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        max=1000,
        help="Iterations that adapt the network to each style first, kept for later runs: 60 are usual for a style "
        "image; for a phrase they mostly make it worse.",
        show_default="0",
    ),
]
Polish = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=1000,
        help="Iterations on every finished painting, towards the strokes of its style; 60 are usual.",
    ),
]

Features = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        help="Network by which --refine and --polish compare strokes: vgg16, fetched once, sees more than the usual, "
        "bundled one.",
        show_default="the network's own",
    ),
]

# Where to paint.
Mask = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|DIR",
        help="Paint where this picture is white, partly where it is grey, and keep the rest; its alpha where it has "
        "any. Of a folder, the mask of each input's name.",
    ),
]
InvertMask = Annotated[bool, typer.Option("--invert-mask", help="Paint where the mask is black.")]
Feather = Annotated[
    float,
    typer.Option(
        metavar="PIXELS",
        min=0,
        max=1000,
        callback=finite,
        help="Soften the edges of masks by so many pixels to either side.",
    ),
]
FacesOption = Annotated[
    float,
    typer.Option(
        "--faces",
        metavar="X",
        min=0,
        max=1,
        callback=finite,
        help="How much of the painting is seen in faces; 0 keeps them as they are. --dry-run shows what is found.",
    ),
]
RegionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="MASK:STYLE",
        help="This style image, or phrase, within this mask; repeat it for several, the later over the earlier, and "
        "rest:STYLE for what no mask covers.",
    ),
]

# Result.


def output_option(besides: str) -> Any:
    """``-o``; ``besides`` says what it takes but files and folders."""
    return typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        show_default="beside the input",
        help=f"File for one result, folder for several{besides}",
    )


Output = Annotated[str | None, output_option(", - for stdout.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Make results that exist already again.")]
MaxSize = Annotated[
    int | None, typer.Option(min=16, metavar="PIXELS", help="Shrink so that the longer side fits.")
]
MaxPixels = Annotated[int, typer.Option(min=1, metavar="N", help="Refuse inputs with more pixels than this.")]
Format = Annotated[
    str | None,
    typer.Option(metavar="NAME", show_default="the input's own", help="png, jpg, webp, tiff and others."),
]
Quality = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=100, show_default="95", help="For formats that trade detail for size."
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Only the I-th of N parts of the work, chosen by names of results: give each of N machines its own.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, max=1024, help="Processes on each device; they share the processor's cores."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|auto|local:N",
        help="Share the work on a Ray cluster (pip install 'stylecli[cluster]').",
    ),
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Go on, and paint what arrives in the folders, until Ctrl-C (pip install 'stylecli[watch]').",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
Open = Annotated[
    bool, typer.Option("--open", help="Show the result when it is done; of several their folder.")
]

# Speed and memory.
DeviceOption = Annotated[
    Device,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|cuda:N|mps|xpu",
        parser=Device.parse,
        help="Where to compute; auto: the fastest that paints as the CPU does. image, text and video take "
        "several, as in cuda:0,cuda:1 or cuda:all.",
    ),
]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="Number format; auto: what suits the device.")]
Tile = Annotated[
    str,
    typer.Option(
        metavar="auto|off|N",
        help="Paint in strips of N rows, which needs less memory and gives the same result.",
        show_default="auto: where memory asks for it",
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", show_default="what is free", help="Memory for the whole process, such as 4G."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "--weights",
        metavar="NAME|FILE",
        show_default="the bundled ones",
        help="Network to paint with: a name of 'stylize weights list', or a file trained with 'stylize train'.",
    ),
]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "--text",
        "-p",
        metavar="TEXT",
        help="A phrase to paint after; repeat for one result of each.",
    ),
]
Takes = Annotated[
    int,
    typer.Option(min=1, max=64, metavar="N", help="Results of every phrase, each in another of its styles."),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", show_default="the bundled ones", help="Weights trained with 'stylize train'."
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", callback=go_offline, help="Open no network connection (STYLIZE_OFFLINE=1)."),
]

# Messages.
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Details, and tracebacks of bugs.")]
