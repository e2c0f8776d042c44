"""``stylize styles``: the ready styles, those that ship and the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options
from stylecli.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

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
    from stylecli.run.ready import own, phrase_of
    from stylecli.samples import READY

    rows = [(f"@{name}", "drawn", _sentence(draw.__doc__ or "")) for name, draw in READY.items()]
    for name, path in own().items():
        phrase = phrase_of(path)
        rows.append((f"@{name}", "your own", str(path) if phrase is None else f'"{phrase[0]}"'))
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

    from stylecli.console import print_block
    from stylecli.media import Picture, writable_suffixes, write_picture
    from stylecli.montage import gallery
    from stylecli.run.ready import find_all

    if target.suffix.lower() not in writable_suffixes():
        raise UsageError(f"--sheet {target}: name a picture file, such as styles.png")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists already, use --overwrite to make it again")
    cells = [(f"@{path.stem}", _picture(path)) for path in find_all()]
    write_picture(Picture(np.asarray(gallery(cells, cell=_CELL))), target)
    print_block(f"{len(cells)} styles on {target}")


def _picture(path: Path) -> Image.Image:
    """The style image; of a phrase, a scene that is painted after it."""
    from stylecli.media import read_picture
    from stylecli.paint.options import LoadOptions
    from stylecli.paint.pixels import to_image
    from stylecli.run.ready import phrase_of
    from stylecli.samples import CONTENTS

    phrase = phrase_of(path)
    if phrase is None:
        return to_image(read_picture(path).pixels)
    return LoadOptions().load().encode_prompt(*phrase)(CONTENTS["mountain-lake"](_CELL))


@styles.command()
def add(
    name: Name,
    style: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|PHRASE", help="The style image, which is copied; or a phrase in quotes."
        ),
    ],
    take: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Of a phrase: which of its styles (see --takes).")
    ] = 1,
    refine: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=1000, help="Learn the style image now, so that --refine N is quick."
        ),
    ] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace your style of that name.")] = False,
) -> None:
    """Keep an image, or a phrase, as a ready style."""
    from stylecli.console import print_block
    from stylecli.run import ready
    from stylecli.run.style_text import Prompt, read_style

    found = read_style(style, f"stylize styles add {name}")
    if isinstance(found, Prompt):
        if refine:
            raise UsageError("--refine learns a style image: a phrase has none")
        path = ready.add_phrase(name, found.text, take - 1, replace=overwrite)
    else:
        if take > 1:
            raise UsageError("--take is for phrases")
        path = ready.add(name, found, replace=overwrite)
    if refine:
        _learn(path, refine)
    print_block(f"@{path.stem} is {path}")


def _learn(path: Path, iterations: int) -> None:
    """Put the network that is adapted to a style into the cache, where ``--refine`` looks for it."""
    from stylecli.console import Console
    from stylecli.media import read_picture
    from stylecli.paint.options import LoadOptions, PaintOptions
    from stylecli.run.painters import refined, resolve
    from stylecli.run.style_specs import spec_of

    how = PaintOptions(refine=iterations)
    with Console():
        refined(resolve(LoadOptions().load(), spec_of(path), read_picture, how), how)


@styles.command()
def remove(name: Name) -> None:
    """Forget a style of your own."""
    from stylecli.run.ready import remove as forget

    forget(name)
