"""``stylize sheet``: one photograph in every style of a folder, as one labelled picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stylecli.cli import options
from stylecli.cli.groups import Engine, Painting, Sharing, Where, grouped
from stylecli.errors import InputError, OutOfMemoryError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from stylecli.console import Console
    from stylecli.media import Picture
    from stylecli.paint.options import PaintOptions
    from stylecli.paint.regions import Regions
    from stylecli.paint.settings import Settings
    from stylecli.paint.stylizer import Stylizer
    from stylecli.run.images import ImageJob
    from stylecli.run.style_specs import StyleSpec


@grouped
def sheet(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photograph.")],
    *,
    styles: Annotated[
        list[str] | None,
        typer.Option("--styles", "--style", "-s", metavar="DIR", help="Folder of style images; repeatable."),
    ] = None,
    phrases: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Text file with phrases to paint after, one a line."),
    ] = None,
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
    where: Where,
    polish: options.Polish = 0,
    jobs: options.Jobs = 1,
    cluster: options.Cluster = None,
    engine: Engine,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show PHOTO in every style of a folder on one picture, each result with its style in the corner; or after every
    phrase of a file."""
    from stylecli.console import Console
    from stylecli.files.cache import digest_of
    from stylecli.files.remote import local_only
    from stylecli.media import read_picture, resize_to_fit
    from stylecli.paint.settings import AUTO, PICTURES, fingerprint
    from stylecli.run.executor import InProcess
    from stylecli.run.guard import Protected
    from stylecli.run.images import ImageJob
    from stylecli.run.masks import kept_masks, mask_settings, regions_of
    from stylecli.run.style_specs import StyleSpec, collect_prompts, part_of, read_phrases

    local_only(photo, output, phrases)
    target = photo.with_name(f"{photo.stem}.sheet.png") if output is None else output
    _check_target(target)
    if not (styles or phrases):
        raise UsageError("no style given: add --styles DIR, or --phrases FILE")
    said = collect_prompts(read_phrases(phrases), []) if phrases else []
    own = [(photo, "the photograph"), *([(phrases, "the list of phrases")] if phrases else [])]
    mask = where.masks()
    kept = Protected([*own, *engine.kept.items(), *kept_masks([], mask).items()])
    kept.refuse(target)
    with Console(quiet=quiet, verbose=verbose, json_lines=json) as console:
        paths = _styles(console, styles, recursive) if styles else []
        Protected((path, "a style image") for path in paths).refuse(target)
        stems = [path.stem for path in paths]
        specs = [
            StyleSpec(path.stem if stems.count(path.stem) == 1 else path.name, ((part_of(path), 1.0),))
            for path in paths
        ]
        specs += said
        picture = resize_to_fit(read_picture(photo, name=str(photo), memory_limit=engine.limit), max_size)
        how, loading = (
            painting.options(where, polish=polish),
            engine.loading(PICTURES, painting.seed),
        )
        settings: Settings = {
            **how.settings,
            **loading.settings,
            "photograph": digest_of(photo)[:16],
            "styles": fingerprint({"styles": [spec.fingerprint() for spec in specs]}),
            "columns": columns,
            "max-size": max_size,
            **mask_settings([mask], photo),
        }
        if target.exists() and not overwrite:
            _leave(console, target, settings)
        executor = Sharing(None, jobs, cluster).executor(engine.device.value)
        console.start_bar(len(specs))
        if isinstance(executor, InProcess):
            stylizer = loading.load()
            regions = regions_of([None, mask], photo, how.faces)
            cells, made = list(_paint(console, stylizer, picture, specs, how, regions)), stylizer.settings
        else:
            job = ImageJob([str(photo)], specs, max_size=max_size, memory_limit=engine.limit, mask=mask)
            job = replace(job, options=how, loading=loading, executor=executor)
            cells, made = _paint_shared(console, job, target)
        console.stop_bar()
        if cells:
            known = {name: value for name, value in settings.items() if value != AUTO}
            made = {**made, **known}  # auto: what it came to
            _write([(photo.name, _image(picture)), *cells], target, columns, max(picture.size), made)
            console.sheet(target, f"{len(cells)} of {len(specs)} styles on {target}")
    raise typer.Exit(console.tally.exit_code)


def _check_target(target: Path) -> None:
    """Refuse before the work what could not be written after it."""
    from stylecli.media import writable_suffixes

    if target.suffix.lower() not in writable_suffixes():
        raise UsageError(f"-o {target}: name a picture file, such as {target.stem or 'sheet'}.png")


def _leave(console: Console, target: Path, wanted: Settings) -> NoReturn:
    """End without making a sheet that is there already; a failure where it was made otherwise."""
    from stylecli.run.events import Failed
    from stylecli.run.provenance import made_otherwise, picture_differs

    words = picture_differs(target, wanted)
    if words:
        console.show(Failed(target, made_otherwise(words)))
        raise typer.Exit(1)
    console.say(f"{target} exists already, use --overwrite to make it again")
    raise typer.Exit(0)


def _styles(console: Console, folders: list[str], recursive: bool) -> list[Path]:
    """Style images in folders, without sheets of an earlier run. Raises UsageError where there are none."""
    from stylecli.media import find_images
    from stylecli.run import ready
    from stylecli.run.events import Failed
    from stylecli.run.paths import exists
    from stylecli.run.provenance import has_provenance

    named = [one for one in folders if one.startswith(ready.SIGN) and not exists(one)]
    drawn = [path for one in named for path in (ready.find_all() if one == ready.ALL else [ready.find(one)])]
    found = find_images([one for one in folders if one not in named], recursive=recursive)
    for problem in found.problems:
        console.show(Failed(Path(problem.path), problem.reason))
    paths = drawn + [
        one.path
        for one in found.images
        if not (one.path.stem.endswith(".sheet") and has_provenance(one.path))
    ]
    if not paths:
        raise UsageError(f"no style images in {', '.join(folders)}")
    return paths


def _paint(
    console: Console,
    stylizer: Stylizer,
    picture: Picture,
    specs: list[StyleSpec],
    how: PaintOptions,
    regions: Regions | None,
) -> Iterator[tuple[str, Image.Image]]:
    """The photograph in one style after the other; a style that fails is named, and the rest goes on."""
    from stylecli.media import read_picture, repaint
    from stylecli.montage import inset
    from stylecli.run.events import Done, Failed, Started
    from stylecli.run.painters import paint, refined, resolve
    from stylecli.run.style_text import Prompt

    height, width = picture.size
    for spec in specs:
        part = spec.parts[0][0]
        name = part.text if isinstance(part, Prompt) else spec.name
        label = Path(name)  # what stands in the lines: there is no file for each style here
        source = part if isinstance(part, Path) else label
        console.show(Started(source, label, name))
        begun = time.perf_counter()
        try:
            style = read_picture(part, name=str(part)) if isinstance(part, Path) else None
            bound = refined(resolve(stylizer, spec, lambda _, style=style: style, how), how)  # type: ignore[misc]
            painter = partial(paint, bound, how)
            painted = repaint(picture, partial(regions.paint, [painter]) if regions else painter)
        except (InputError, OutOfMemoryError) as error:
            reason = str(error).removeprefix(f"{part}: ")
            console.show(Failed(source, reason, out_of_memory=isinstance(error, OutOfMemoryError)))
            continue
        console.show(Done(source, label, name, time.perf_counter() - begun, width, height))
        drawn = _image(painted)
        yield name, drawn if style is None else inset(drawn, _image(style))


def _paint_shared(
    console: Console, job: ImageJob, target: Path
) -> tuple[list[tuple[str, Image.Image]], Settings]:
    """The same by several workers; and what the paintings were made with."""
    from stylecli.media import read_picture
    from stylecli.montage import inset
    from stylecli.run.events import Failed
    from stylecli.run.shared_sheet import paint_shared
    from stylecli.run.style_text import Prompt

    specs: list[StyleSpec] = []
    names: list[tuple[Path, str]] = []
    styles: list[Picture | None] = []
    for spec in job.specs:
        part = spec.parts[0][0]
        try:  # one that cannot be read would end all
            styles.append(read_picture(part, name=str(part)) if isinstance(part, Path) else None)
        except InputError as error:
            console.show(Failed(Path(str(part)), str(error).removeprefix(f"{part}: ")))
            continue
        name = part.text if isinstance(part, Prompt) else spec.name
        names.append((part if isinstance(part, Path) else Path(name), name))
        specs.append(spec)
    made: Settings = {}
    cells = []
    job = replace(job, specs=specs)
    for number, painted, how in paint_shared(job, names, target, console.show) if specs else ():
        made = how
        style, drawn = styles[number], _image(painted)
        cells.append((names[number][1], drawn if style is None else inset(drawn, _image(style))))
    return cells, made


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
    from stylecli.run.provenance import with_provenance

    drawn = gallery(cells, columns=columns, cell=cell)
    write_picture(with_provenance(Picture(np.asarray(drawn)), made), target)
