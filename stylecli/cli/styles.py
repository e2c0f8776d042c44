"""``stylize styles``: the ready styles, those that ship and the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stylecli.cli import options
from stylecli.errors import UsageError

styles = typer.Typer(rich_markup_mode=None, help="Ready styles: list them, keep your own.")

_CELL = 256  # pixels of each on the sheet

Name = Annotated[str, typer.Argument(metavar="NAME", help="What --style @NAME will find it by.")]


@styles.callback(invoke_without_command=True)
def list_(
    context: typer.Context,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw all of them on one picture, too.")
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Show every ready style, which --style, --blend, --region and --style-at take as @NAME."""
    if context.invoked_subcommand is not None:
        return
    from stylecli.console import print_json, print_table
    from stylecli.run.ready import own
    from stylecli.samples import READY

    rows = [(f"@{name}", "drawn", _sentence(draw.__doc__ or "")) for name, draw in READY.items()]
    rows += [(f"@{name}", "your own", str(path)) for name, path in own().items()]
    if json:
        for name, kind, what in rows:
            print_json({"name": name, "kind": kind, "what": what})
    else:
        print_table(("name", "kind", "what it is"), rows)
    if sheet is not None:
        _draw(sheet, overwrite)


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _draw(target: Path, overwrite: bool) -> None:
    import numpy as np
    from PIL import Image

    from stylecli.console import print_block
    from stylecli.media import Picture, read_picture, writable_suffixes, write_picture
    from stylecli.montage import gallery
    from stylecli.paint.pixels import to_image
    from stylecli.run.ready import find_all

    if target.suffix.lower() not in writable_suffixes():
        raise UsageError(f"--sheet {target}: name a picture file, such as styles.png")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists already, use --overwrite to make it again")
    cells: list[tuple[str, Image.Image]] = [
        (f"@{path.stem}", to_image(read_picture(path).pixels)) for path in find_all()
    ]
    write_picture(Picture(np.asarray(gallery(cells, cell=_CELL))), target)
    print_block(f"{len(cells)} styles on {target}")


@styles.command()
def add(
    name: Name,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The style image; it is copied.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace your style of that name.")] = False,
) -> None:
    """Keep an image as a ready style."""
    from stylecli.console import print_block
    from stylecli.run.ready import add as keep

    path = keep(name, image, replace=overwrite)
    print_block(f"@{path.stem} is {path}")


@styles.command()
def remove(name: Name) -> None:
    """Forget a style of your own."""
    from stylecli.run.ready import remove as forget

    forget(name)
