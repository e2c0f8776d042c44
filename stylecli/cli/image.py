"""``stylize image``: photographs and folders of them, each in every style."""

from __future__ import annotations

from typing import Annotated

import typer

from stylecli.cli import options


def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Images, folders, glob patterns in quotes, or - for stdin."),
    ],
    style: options.Styles = None,
    blend: options.Blends = None,
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
    """Stylize images: every INPUT in every style, beside it as photo.style.png or where -o says.

    Results that exist already are skipped, so that an interrupted run can simply be started again.
    """
    from stylecli.cli.painting import paint_files
    from stylecli.paint.options import PICTURES, LoadOptions, PaintOptions
    from stylecli.run.images import ImageJob
    from stylecli.run.looks import collect_looks

    rows, limit = options.tile_rows(tile), options.memory_bytes(memory_limit)
    loading = LoadOptions(PICTURES, weights, device.value, dtype.value, tile=rows, memory_limit=limit)
    job = ImageJob(
        inputs,
        collect_looks(style or [], blend or []),
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
        options=PaintOptions(strength, preserve_color, stroke_size, seed),
    )

    paint_files(job, loading.load, dry_run=dry_run, json=json, quiet=quiet, verbose=verbose)
