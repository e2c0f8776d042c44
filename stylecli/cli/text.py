"""``stylize text``: photographs and folders of them, painted as phrases say."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

from stylecli.cli import options
from stylecli.cli.groups import Engine, Painting, Reading, Sharing, Telling, Where, grouped
from stylecli.errors import UsageError


class Backbone(StrEnum):
    own = "own"
    siglip_sd = "siglip-sd"
    siglip_taesd = "siglip-taesd"


@grouped
def text(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar='INPUT... "PROMPT"',
            help="Images, folders, glob patterns in quotes, or - for stdin; the prompt comes last.",
        ),
    ],
    *,
    prompt: options.Prompts = None,
    blend: Annotated[
        list[str] | None,
        typer.Option(
            "--blend",
            metavar="A:0.6,B:0.4",
            help="Mix phrases, and style images, by weight into one; repeatable.",
        ),
    ] = None,
    takes: options.Takes = 1,
    region: options.RegionsOption = None,
    backbone: Annotated[
        Backbone,
        typer.Option(
            help="Between which networks to paint: our own, or SigLIP and Stable Diffusion's auto-encoder "
            "(or its small sister), as in the paper. No trained weights exist for those, so they are "
            "refined: 20 iterations unless --refine says otherwise."
        ),
    ] = Backbone.own,
    painting: Painting,
    where: Where,
    output: options.Output = None,
    reading: Reading,
    watch: options.Watch = False,
    sharing: Sharing,
    format: options.Format = None,
    quality: options.Quality = None,
    engine: Engine,
    telling: Telling,
) -> None:
    """Stylize images as a phrase says: every INPUT beside it as photo.phrase.png or where -o says.

    Without --prompt, --blend or --region the last argument is the phrase: stylize text photo.png "Paul Gauguin style".
    Results that exist already are skipped, so that an interrupted run can simply be started again.
    """
    from stylecli.cli.painting import paint_pictures, picture_job
    from stylecli.paint.settings import PHRASES
    from stylecli.run.style_specs import collect_prompts

    inputs, prompts = _split(arguments, named=bool(prompt or blend or region))
    if engine.model is not None and backbone is not Backbone.own:
        raise UsageError(f"--weights {engine.model}: none can be trained for --backbone {backbone.value}")
    if region:
        specs = options.style_specs(None, prompt, blend, takes, region, where.feather)
    else:
        specs = collect_prompts([*prompts, *(prompt or [])], blend or [], takes)
    loading = engine.loading(PHRASES if backbone is Backbone.own else backbone.value, painting.seed)
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
        options=painting.options(where, refine=_iterations(painting.refine, loading.model)),
    )
    paint_pictures(job, telling, watch=watch)


def _iterations(asked: int | None, model: str) -> int:
    """Raises UsageError where nothing but the photograph could come out."""
    from stylecli.models.backbones import BACKBONES

    if model not in BACKBONES:
        return asked or 0
    if asked == 0:
        raise UsageError(f"--backbone {model} has no trained weights: --refine must be 1 or more")
    return 20 if asked is None else asked


def _split(arguments: list[str], *, named: bool) -> tuple[list[str], list[str]]:
    """Inputs and prompts. Raises UsageError where the prompt seems to have been forgotten."""
    from stylecli.run.paths import exists, is_file

    if named:
        return arguments, []
    *inputs, last = arguments
    if not inputs or is_file(last):
        raise UsageError(f'no prompt: the last argument is the phrase, as in stylize text {last} "ukiyo-e"')
    words = [last]
    while inputs and inputs[-1] != "-" and not exists(inputs[-1]) and re.fullmatch(r"[\w'’-]+", inputs[-1]):
        words.insert(0, inputs.pop())  # no file, no pattern: a word of a phrase without quotes
    if len(words) > 1 and inputs:
        raise UsageError(
            f'{words[0]}: no such file; put the phrase in quotes: stylize text {" ".join(inputs)} "{" ".join(words)}"'
        )
    return arguments[:-1], [last]
