"""``stylize text``: photographs and folders of them, painted as phrases say."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

from stylecli.cli import options
from stylecli.errors import UsageError


class Backbone(StrEnum):
    own = "own"
    siglip_sd = "siglip-sd"
    siglip_taesd = "siglip-taesd"


def text(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar='INPUT... "PROMPT"',
            help="Images, folders, glob patterns in quotes, or - for stdin; the prompt comes last.",
        ),
    ],
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt", "-p", metavar="TEXT", help="A phrase to paint after; repeat for one result of each."
        ),
    ] = None,
    blend: Annotated[
        list[str] | None,
        typer.Option("--blend", metavar="A:0.6,B:0.4", help="Mix phrases by weight into one; repeatable."),
    ] = None,
    backbone: Annotated[
        Backbone,
        typer.Option(
            help="Between which networks to paint: our own, or SigLIP and Stable Diffusion's auto-encoder "
            "(or its small sister), as in the paper. No trained weights exist for those: they are refined."
        ),
    ] = Backbone.own,
    refine: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=1000,
            help="Iterations that adapt the network to each phrase; 15 to 40 are usual.",
            show_default="0; 20 with another --backbone",
        ),
    ] = None,
    strength: options.Strength = 1.0,
    stroke_size: options.StrokeSize = 1.0,
    preserve_color: options.PreserveColor = False,
    seed: options.Seed = 0,
    output: options.Output = None,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    max_size: options.MaxSize = None,
    max_pixels: options.MaxPixels = 400_000_000,
    format: options.Format = None,
    quality: options.Quality = None,
    dry_run: options.DryRun = False,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    tile: options.Tile = "auto",
    memory_limit: options.MemoryLimit = None,
    weights: options.Weights = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Stylize images as a phrase says: every INPUT beside it as photo.phrase.png or where -o says.

    Without --prompt or --blend the last argument is the phrase: stylize text photo.png "Paul Gauguin style".
    Results that exist already are skipped, so that an interrupted run can simply be started again.
    """
    from stylecli.cli.painting import paint_files
    from stylecli.paint.options import PHRASES, LoadOptions, PaintOptions
    from stylecli.run.images import ImageJob
    from stylecli.run.looks import collect_prompts

    rows, limit = options.tile_rows(tile), options.memory_bytes(memory_limit)
    inputs, prompts = _split(arguments, named=bool(prompt or blend))
    model = PHRASES if backbone is Backbone.own else backbone.value
    loading = LoadOptions(model, weights, device.value, dtype.value, seed, rows, limit)
    job = ImageJob(
        inputs,
        collect_prompts([*prompts, *(prompt or [])], blend or []),
        output=output,
        recursive=recursive,
        overwrite=overwrite,
        max_size=max_size,
        max_pixels=max_pixels,
        format=format,
        quality=quality,
        memory_limit=limit,
        kept={} if weights is None else {weights: "the weights file"},
        loading=loading,
        options=PaintOptions(strength, preserve_color, stroke_size, seed, _iterations(refine, backbone)),
    )

    paint_files(job, loading.load, dry_run=dry_run, json=json, quiet=quiet, verbose=verbose)


def _iterations(asked: int | None, backbone: Backbone) -> int:
    """Raises UsageError where nothing but the photograph could come out."""
    if backbone is Backbone.own:
        return asked or 0
    if asked == 0:
        raise UsageError(f"--backbone {backbone.value} has no trained weights: --refine must be 1 or more")
    return 20 if asked is None else asked


def _split(arguments: list[str], *, named: bool) -> tuple[list[str], list[str]]:
    """Inputs and prompts. Raises UsageError where the prompt seems to have been forgotten."""
    from stylecli.run.places import exists, is_file

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
