"""The command line as a whole: which commands there are.

Command modules import nothing heavy before their command runs, so ``--help`` answers in a blink.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stylecli import __version__
from stylecli.cli import options, values
from stylecli.cli.bench import bench
from stylecli.cli.defaults import read
from stylecli.cli.demo import demo
from stylecli.cli.doctor import doctor
from stylecli.cli.export import export
from stylecli.cli.help import dress
from stylecli.cli.image import image
from stylecli.cli.kernels import kernels
from stylecli.cli.manual import manual
from stylecli.cli.page import page
from stylecli.cli.sheet import sheet
from stylecli.cli.styles import styles
from stylecli.cli.text import text
from stylecli.cli.train import train
from stylecli.cli.video import video
from stylecli.cli.weights import weights

app = typer.Typer(
    name="stylize",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(short_help="Photographs and folders of them, in one or more styles.")(image)
app.command(short_help="The same, painted as a phrase says.")(text)
app.command(short_help="Films, with their sound, steadied against flicker.")(video)
app.command(short_help="One photograph in every style of a folder, on one picture.")(sheet)
app.command("app", short_help="The same in the browser, on this machine.")(page)
app.command(short_help="See it work, on pictures that it draws itself.")(demo)
app.command(short_help="Look at this machine and paint one small picture, for bug reports.")(doctor)
app.command(short_help="All these pages as one manual page.")(manual)
app.add_typer(train, name="train")
app.add_typer(bench, name="bench")
app.add_typer(kernels, name="kernels")
app.add_typer(weights, name="weights")
app.add_typer(styles, name="styles")
app.add_typer(export, name="export")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"stylize {__version__}")
        raise typer.Exit


def _use_manifest(context: typer.Context, manifest: Path | None) -> Path | None:
    if manifest is not None:
        values.set_variable(context, "STYLIZE_WEIGHTS_MANIFEST", str(manifest))
    return manifest


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    offline: options.Offline = False,
    weights_manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            callback=_use_manifest,
            help="More networks, in the format of weights.toml (STYLIZE_WEIGHTS_MANIFEST).",
        ),
    ] = None,
) -> None:
    """Paint photographs and films in the style of a picture or of a phrase."""
    if context.invoked_subcommand in ("image", "text", "video", "sheet"):
        context.default_map = read(context.command)


def command() -> Any:
    """The whole command line as one command object (its class is Typer's own business)."""
    return dress(typer.main.get_command(app))
