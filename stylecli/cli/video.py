"""``stylize video``: films, with their sound, each in every style."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options
from stylecli.cli.films import Encoded, Part
from stylecli.cli.groups import Engine, Painting, Reading, Sharing, Telling, Where, grouped
from stylecli.errors import UsageError
from stylecli.paint.options import TEMPORAL

if TYPE_CHECKING:
    from stylecli.run.timeline import Timeline


@grouped
def video(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Films, animated GIF, WebP or PNG, numbered pictures (frames/%05d.png), folders, patterns in quotes.",
        ),
    ],
    *,
    style: options.Styles = None,
    prompt: options.Prompts = None,
    takes: options.Takes = 1,
    blend: options.Blends = None,
    region: options.RegionsOption = None,
    style_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECONDS:STYLE",
            help="This style image or phrase from this time on; repeat it for several, which are crossfaded.",
        ),
    ] = None,
    temporal: Annotated[
        str, typer.Option(metavar="0..1|off", help="How firmly strokes follow what moves, against flicker.")
    ] = str(TEMPORAL),
    painting: Painting,
    where: Where,
    output: Annotated[str | None, options.output_option("; out/%05d.png for numbered pictures.")] = None,
    reading: Reading,
    sharing: Sharing,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Paint three frames only, as one picture beside the result's place."),
    ] = False,
    part: Part,
    encoded: Encoded,
    engine: Engine,
    telling: Telling,
) -> None:
    """Stylize films: every INPUT in every style, beside it as clip.style.mp4 or where -o says.

    Every frame keeps its time, and sound, subtitles and chapters are copied. Ctrl-C once completes the frames in hand
    and leaves a film to look at; --resume goes on, after a power cut too.
    """
    from stylecli.cli.painting import paint_files
    from stylecli.files.remote import local_only
    from stylecli.paint.settings import PICTURES
    from stylecli.run.films import FilmJob

    if preview:
        local_only(*inputs, output)
    timelines = _timelines(style, prompt, blend, style_at, takes, region, where.feather)
    loading = engine.loading(PICTURES, painting.seed)
    job = FilmJob(
        inputs,
        timelines,
        part.excerpt(reading),
        encoded.encoding(),
        output=output,
        recursive=reading.recursive,
        shard=sharing.part,
        overwrite=reading.overwrite,
        resume=resume,
        preview=preview,
        # Colours alone leave every frame's own detail as it is: there is nothing to steady.
        temporal=None if painting.colour_only else _temporal(temporal),
        mask=where.masks(regions=bool(region)),
        options=painting.options(where),
        loading=loading,
        kept=engine.kept,
        executor=sharing.executor(engine.device.value),
    )

    paint_files(job, loading.load, telling, films=not preview)


def _timelines(
    styles: list[Path] | None,
    texts: list[str] | None,
    blends: list[str] | None,
    keys: list[str] | None,
    takes: int,
    regions: list[str] | None,
    feather: float,
) -> list[Timeline]:
    """What to paint with. Raises UsageError where the options do not go together."""
    from stylecli.run.timeline import Timeline, parse_keys

    if keys:
        if styles or texts or blends or regions:
            raise UsageError(
                "--style-at says which styles are seen when: drop --style, --blend, --prompt and --region"
            )
        return [parse_keys(keys)]
    if not (styles or texts or blends or regions):
        raise UsageError(
            'no style given: add --style IMAGE, --prompt "TEXT", --blend a.jpg:0.7,b.jpg:0.3 or --style-at'
        )
    return [
        Timeline.constant(spec)
        for spec in options.style_specs(styles, texts, blends, takes, regions, feather)
    ]


def _temporal(text: str) -> float | None:
    """None for ``off``."""
    if text.strip().lower() == "off":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--temporal {text}: write off, or a number from 0 to 1")
    return value or None
