"""``stylize demo``: see the tool work in one command, with pictures that it draws itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylecli.cli import options

if TYPE_CHECKING:
    from PIL import Image

    from stylecli.console import Console
    from stylecli.samples import Drawing


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for everything the demo makes.")
    ] = Path("stylize-demo"),
    size: Annotated[
        int, typer.Option(min=64, max=4096, metavar="PIXELS", help="Side of the pictures.")
    ] = 512,
    overwrite: options.Overwrite = False,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    weights: options.Weights = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw sample photographs and styles, stylize each in each, and show all on one sheet.

    What the folder holds already is kept and used, so the demo can be run again at no cost. Put a photograph
    of your own into its 'photographs' folder, or a style into 'styles', and it joins in the next time.
    """
    from stylecli.console import Console

    with Console(quiet=quiet, verbose=verbose, json_lines=json) as console:
        try:
            _make(console, output, size, overwrite, device, dtype, weights)
        except KeyboardInterrupt:
            console.summary(interrupted=True)
            raise typer.Exit(130) from None
    raise typer.Exit(console.tally.exit_code)


def _make(
    console: Console,
    output: Path,
    size: int,
    overwrite: bool,
    device: options.Device,
    dtype: options.Dtype,
    weights: Path | None,
) -> None:
    from stylecli.media import find_images
    from stylecli.paint.options import LoadOptions
    from stylecli.paint.settings import PICTURES
    from stylecli.run.images import ImageJob
    from stylecli.run.style_specs import collect_styles
    from stylecli.samples import CONTENTS, STYLES

    photographs, styles, results = (output / name for name in ("photographs", "styles", "results"))
    drawn = _draw(photographs, CONTENTS, size, overwrite) + _draw(styles, STYLES, size, overwrite)
    if drawn:
        console.say(f"{drawn} pictures drawn into {photographs} and {styles}")

    style_files = [found.path for found in find_images([str(styles)], recursive=False).images]
    loading = LoadOptions(PICTURES, weights, device.value, dtype.value)
    job = ImageJob(
        [str(photographs)],
        collect_styles(style_files, []),
        output=f"{results}/",
        overwrite=overwrite,
        max_size=size,
        format="png",
        loading=loading,
    )
    plan = job.plan(console.show)
    if plan.todo:
        console.start_bar(len(plan.todo))
        try:
            job.run(plan, loading.load, console.show)
        finally:
            console.stop_bar()
    console.summary()

    targets = {(task.source, task.style): task.target for task in (*plan.finished, *plan.todo)}
    sources = list(dict.fromkeys(source for source, _ in targets))
    sheet = _sheet(sources, style_files, targets)
    path = _write(sheet, output / "demo.png")
    console.sheet(path, f"photographs down, styles across: see {path.resolve()}")


def _draw(folder: Path, drawings: Mapping[str, Drawing], size: int, overwrite: bool) -> int:
    """Draw what is missing; returns how many that were."""
    missing = {name: draw for name, draw in drawings.items() if overwrite or not _file(folder, name).exists()}
    for name, draw in missing.items():
        _write(draw(size), _file(folder, name))
    return len(missing)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def _write(image: Image.Image, target: Path) -> Path:
    """Save as PNG, whole or not at all; makes the folder. Raises InputError where that is impossible."""
    import numpy as np

    from stylecli.media import Picture, write_picture

    write_picture(Picture(np.asarray(image)), target)
    return target


def _sheet(
    photographs: list[Path], styles: list[Path], targets: Mapping[tuple[Path, str], Path]
) -> Image.Image:
    """Photographs down, styles across, results between; a cell whose result failed stays empty."""
    from stylecli.montage import grid

    rows: list[list[Image.Image | None]] = [[None, *(_thumbnail(style) for style in styles)]]
    for photograph in photographs:
        results = [targets.get((photograph, style.stem)) for style in styles]
        rows.append([_thumbnail(photograph), *(_thumbnail(result) for result in results)])
    return grid(rows, ["", *(path.stem for path in photographs)], ["", *(path.stem for path in styles)])


def _thumbnail(path: Path | None) -> Image.Image | None:
    from stylecli.errors import InputError
    from stylecli.media import read_picture, resize_to_fit
    from stylecli.paint.pixels import to_image

    if path is None:
        return None
    try:
        return to_image(resize_to_fit(read_picture(path), 256).pixels)
    except InputError:  # reported when it was to be stylized
        return None
