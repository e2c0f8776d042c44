"""``stylize sheet``: one photograph in every style of a folder, as one labelled picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stylecli.cli import options
from stylecli.cli.groups import Engine, Painting, grouped
from stylecli.errors import InputError, OutOfMemoryError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from stylecli.console import Console
    from stylecli.media import Picture
    from stylecli.paint.options import PaintOptions, Settings
    from stylecli.paint.stylizer import Stylizer


@grouped
def sheet(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photograph.")],
    *,
    styles: Annotated[
        list[str], typer.Option("--styles", "-s", metavar="DIR", help="Folder of style images; repeatable.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", show_default="PHOTO.sheet.png", help="The sheet."),
    ] = None,
    max_size: Annotated[
        int, typer.Option(min=16, metavar="PIXELS", help="Longer side of each picture on the sheet.")
    ] = 512,
    columns: Annotated[
        int | None, typer.Option(min=1, metavar="N", show_default="chosen to fit", help="Pictures in a row.")
    ] = None,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    painting: Painting,
    polish: options.Polish = 0,
    engine: Engine,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show PHOTO in every style of a folder on one picture, each result with its style in the corner."""
    from stylecli.console import Console
    from stylecli.files.cache import digest_of
    from stylecli.media import find_images, read_picture, resize_to_fit
    from stylecli.paint.options import PICTURES, fingerprint
    from stylecli.run.events import Failed
    from stylecli.run.guard import Protected
    from stylecli.run.mark import is_marked

    target = photo.with_name(f"{photo.stem}.sheet.png") if output is None else output
    _check_target(target)
    kept = Protected([(photo, "the photograph"), *engine.kept.items()])
    kept.refuse(target)
    with Console(quiet=quiet, verbose=verbose) as console:
        discovery = find_images(styles, recursive=recursive)
        for problem in discovery.problems:
            console.show(Failed(Path(problem.path), problem.reason))
        paths = [
            one.path
            for one in discovery.images
            if not (one.path.stem.endswith(".sheet") and is_marked(one.path))
        ]
        if not paths:
            raise UsageError(f"no style images in {', '.join(styles)}")
        Protected((path, "a style image") for path in paths).refuse(target)
        picture = resize_to_fit(read_picture(photo, name=str(photo), memory_limit=engine.limit), max_size)
        how, loading = painting.options(polish=polish), engine.loading(PICTURES, painting.seed)
        settings: Settings = {
            **how.settings,
            **loading.settings,
            "photograph": digest_of(photo)[:16],
            "styles": fingerprint({"styles": [digest_of(path) for path in paths]}),
            "columns": columns,
            "max-size": max_size,
        }
        if target.exists() and not overwrite:
            _leave(console, target, settings)
        stylizer = loading.load()
        console.start_bar(len(paths))
        cells = list(_paint(console, stylizer, picture, paths, how))
        console.stop_bar()
        if cells:
            made = {**settings, **stylizer.settings}
            _write([(photo.name, _image(picture)), *cells], target, columns, max(picture.size), made)
            console.say(f"{len(cells)} of {len(paths)} styles on {target}")
    raise typer.Exit(console.tally.exit_code)


def _check_target(target: Path) -> None:
    """Refuse before the work what could not be written after it."""
    from stylecli.media import writable_suffixes

    if target.suffix.lower() not in writable_suffixes():
        raise UsageError(f"-o {target}: name a picture file, such as {target.stem or 'sheet'}.png")


def _leave(console: Console, target: Path, wanted: Settings) -> NoReturn:
    """End without making a sheet that is there already; a failure where it was made otherwise."""
    from stylecli.run.events import Failed
    from stylecli.run.mark import made_otherwise, picture_differs

    words = picture_differs(target, wanted)
    if words:
        console.show(Failed(target, made_otherwise(words)))
        raise typer.Exit(1)
    console.say(f"{target} exists already, use --overwrite to make it again")
    raise typer.Exit(0)


def _paint(
    console: Console, stylizer: Stylizer, picture: Picture, paths: list[Path], how: PaintOptions
) -> Iterator[tuple[str, Image.Image]]:
    """The photograph in one style after the other; a style that fails is named, and the rest goes on."""
    from stylecli.media import read_picture, repaint, visible
    from stylecli.montage import inset
    from stylecli.run.events import Done, Failed, Started
    from stylecli.run.painters import paint, refined

    height, width = picture.size
    stems = [path.stem for path in paths]
    for path in paths:
        name = path.stem if stems.count(path.stem) == 1 else path.name
        label = Path(name)  # what stands in the lines: there is no file for each style here
        console.show(Started(path, label, name))
        begun = time.perf_counter()
        try:
            style = read_picture(path, name=str(path))
            bound = stylizer.encode_style(visible(style.pixels, style.alpha), texture=how.needs_texture)
            bound = refined(bound, how)
            painted = repaint(picture, partial(paint, bound, how))
        except (InputError, OutOfMemoryError) as error:
            reason = str(error).removeprefix(f"{path}: ")
            console.show(Failed(path, reason, out_of_memory=isinstance(error, OutOfMemoryError)))
            continue
        console.show(Done(path, label, name, time.perf_counter() - begun, width, height))
        yield name, inset(_image(painted), _image(style))


def _image(picture: Picture) -> Image.Image:
    """With its alpha: the sheet's paper shows through."""
    import numpy as np
    from PIL import Image

    from stylecli.paint.pixels import to_depth, to_image

    image = to_image(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(to_depth(picture.alpha, np.uint8)))
    return image


def _write(
    cells: list[tuple[str, Image.Image]], target: Path, columns: int | None, cell: int, made: Settings
) -> None:
    import numpy as np

    from stylecli.media import Picture, write_picture
    from stylecli.montage import gallery
    from stylecli.run.mark import mark

    drawn = gallery(cells, columns=columns, cell=cell)
    write_picture(mark(Picture(np.asarray(drawn)), made), target)
