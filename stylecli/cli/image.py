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
    from stylecli.cli.painting import paint_pictures, picture_job
    from stylecli.paint.settings import PICTURES

    specs = options.style_specs(style, prompt, blend, takes, region, where.feather)
    loading = engine.loading(PICTURES, painting.seed)
    job = picture_job(
        inputs,
        specs,
        reading,
        sharing,
        engine,
        output=output,
        format=format,
        quality=quality,
        loading=loading,
        mask=where.masks(regions=bool(region)),
        options=painting.options(where, polish=polish),
    )
    paint_pictures(job, telling, watch=watch)
