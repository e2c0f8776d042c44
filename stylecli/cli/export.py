"""``stylize export``: networks for other programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from stylecli.cli import options
from stylecli.errors import UsageError

export = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Networks for programs without PyTorch."
)


@export.callback()
def _group() -> None:
    """Networks for programs without PyTorch."""


@export.command()
def onnx(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of encoder.onnx and painter.onnx.")
    ] = Path("stylize-onnx"),
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Width and height of the photographs that are painted.")
    ] = "512x512",
    model: options.Model = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Write a network as ONNX: encoder.onnx makes a style of a picture, painter.onnx paints a photograph of one size in
    it. Both are run by onnxruntime first, and kept if the results agree with PyTorch's to 1/255."""
    from stylecli.console import Console
    from stylecli.paint.onnx import ENCODER, PAINTER, check_packages, export_onnx
    from stylecli.paint.options import LoadOptions
    from stylecli.paint.settings import PICTURES

    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", size)
    if match is None or min(map(int, match.groups())) < 16:
        raise UsageError(f"--size {size}: write WIDTHxHEIGHT, each from 16 to 9999, such as 512x512")
    check_packages()
    for name in (ENCODER, PAINTER):
        if (output / f"{name}.onnx").exists() and not overwrite:
            raise UsageError(f"{output / name}.onnx exists already, use --overwrite to make it again")
    with Console() as console:
        stylizer = LoadOptions(model or PICTURES, device="cpu", dtype="fp32").load()
        for path, apart in export_onnx(stylizer, output, int(match[2]), int(match[1])):
            megabytes = path.stat().st_size / 1e6
            console.say(f"{path}: {megabytes:.1f} MB, differs from PyTorch by {apart:.1g} at most")
