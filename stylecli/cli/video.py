"""``stylize video``: films, with their sound, each in every style."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options
from stylecli.cli.groups import Engine, Painting, Reading, Sharing, Telling, Where, grouped
from stylecli.errors import UsageError
from stylecli.paint.options import TEMPORAL

if TYPE_CHECKING:
    from stylecli.media.video.clip import Excerpt
    from stylecli.run.timeline import Timeline


class Codec(StrEnum):
    h264 = "h264"
    hevc = "hevc"
    av1 = "av1"
    vp9 = "vp9"
    prores = "prores"
    ffv1 = "ffv1"
    h264_nvenc = "h264-nvenc"
    hevc_nvenc = "hevc-nvenc"


class Hdr(StrEnum):
    tone_map = "tone-map"
    refuse = "refuse"


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
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin here: seconds, 1:30 or 0:01:30.5.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End here.")] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Paint no more frames than this.")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            show_default="every frame at its own time",
            help="Another frame rate, as 25 or 30000/1001.",
        ),
    ] = None,
    codec: Annotated[
        Codec | None,
        typer.Option(
            show_default="h264; with transparency prores in .mov, vp9 in .mkv",
            help="How the result is encoded.",
        ),
    ] = None,
    hdr: Annotated[
        Hdr, typer.Option(help="What becomes of HDR films (HLG, PQ): tone-mapped to SDR, or refused.")
    ] = Hdr.tone_map,
    crf: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=63,
            show_default="18 for h264",
            help="Quality: lower is better and larger.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="medium", help="The encoder's speed, as fast or slow."),
    ] = None,
    pix_fmt: Annotated[
        str | None, typer.Option(metavar="NAME", show_default="yuv420p", help="The encoder's pixel format.")
    ] = None,
    engine: Engine,
    telling: Telling,
) -> None:
    """Stylize films: every INPUT in every style, beside it as clip.style.mp4 or where -o says.

    Every frame keeps its time, and sound, subtitles and chapters are copied. Ctrl-C once completes the frames in hand
    and leaves a film to look at; --resume goes on, after a power cut too.
    """
    from stylecli.cli.painting import paint_files
    from stylecli.files.remote import local_only
    from stylecli.media.video.encoding import Encoding
    from stylecli.paint.settings import PICTURES
    from stylecli.run.films import FilmJob

    if preview:
        local_only(*inputs, output)
    timelines = _timelines(style, prompt, blend, style_at, takes, region, where.feather)
    loading = engine.loading(PICTURES, painting.seed)
    job = FilmJob(
        inputs,
        timelines,
        _excerpt(start, end, max_frames, fps, reading.max_size, reading.max_pixels, hdr is Hdr.tone_map),
        Encoding(None if codec is None else codec.value, crf, preset, pix_fmt),
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


def _excerpt(
    start: str | None,
    end: str | None,
    max_frames: int | None,
    fps: str | None,
    max_size: int | None,
    max_pixels: int,
    hdr: bool,
) -> Excerpt:
    from fractions import Fraction

    from stylecli.media.video.clip import Excerpt
    from stylecli.run.timeline import parse_seconds

    begin = None if start is None else parse_seconds(start, "--start")
    stop = None if end is None else parse_seconds(end, "--end")
    if stop is not None and stop <= (begin or 0):
        raise UsageError(f"--end {end} is not after --start {start or 0}")
    rate = None
    if fps is not None:
        try:
            rate = Fraction(fps).limit_denominator(1_000_000)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 0 < rate <= 1000:
            raise UsageError(f"--fps {fps}: not a frame rate (as in 25 or 30000/1001)")
    return Excerpt(begin, stop, max_frames, rate, max_size, max_pixels, hdr)


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
