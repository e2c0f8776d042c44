"""``stylize image``: photographs and folders of them, each in every style."""

from __future__ import annotations

from typing import Annotated

import typer

from stylecli.cli import options
from stylecli.cli.groups import Engine, Painting, Reading, Sharing, Telling, Where, grouped


@grouped
def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Images, folders, glob patterns in quotes, or - for stdin."),
    ],
    *,
    style: options.Styles = None,
    prompt: options.Prompts = None,
    takes: options.Takes = 1,
    blend: options.Blends = None,
    region: options.RegionsOption = None,
    painting: Painting,
    where: Where,
    polish: options.Polish = 0,
    output: options.Output = None,
    reading: Reading,
    watch: options.Watch = False,
    sharing: Sharing,
    format: options.Format = None,
    quality: options.Quality = None,
    engine: Engine,
    telling: Telling,
) -> None:
    """Stylize images: every INPUT in every style, beside it as photo.style.png or where -o says.

    Results that exist already are skipped, so that an interrupted run can simply be started again.
    """
    from stylecli.cli.painting import paint_files, watch_files
    from stylecli.paint.settings import PICTURES
    from stylecli.run.executor import InProcess
    from stylecli.run.images import ImageJob

    specs = options.style_specs(style, prompt, blend, takes, region, where.feather)
    loading = engine.loading(PICTURES, painting.seed)
    job = ImageJob(
        inputs,
        specs,
        output=output,
        recursive=reading.recursive,
        shard=sharing.part,
        overwrite=reading.overwrite,
        max_size=reading.max_size,
        max_pixels=reading.max_pixels,
        format=format,
        quality=quality,
        memory_limit=engine.limit,
        kept=engine.kept,
        loading=loading,
        executor=sharing.executor(engine.device.value),
        mask=where.masks(regions=bool(region)),
        options=painting.options(where, polish=polish),
    )

    if watch:
        watch_files(job, loading.load, telling, alone=isinstance(job.executor, InProcess))
    paint_files(job, loading.load, telling)
