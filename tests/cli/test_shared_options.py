"""What image, text, video and sheet share, all of them offer, under the same names."""

from __future__ import annotations

import typer

from stylecli.cli.image import image
from stylecli.cli.sheet import sheet
from stylecli.cli.text import text
from stylecli.cli.video import video

SHARED = {"--strength", "--stroke-size", "--preserve-color", "--seed"}
SHARED |= {
    "--model",
    "--weights",
    "--device",
    "--dtype",
    "--tile",
    "--memory-limit",
    "--overwrite",
    "--recursive",
}
TOLD = {"--json", "--quiet", "--verbose", "--dry-run", "--prompt", "--text", "--max-pixels"}


def names(command) -> set[str]:
    app = typer.Typer()
    app.command()(command)
    return {name for parameter in typer.main.get_command(app).params for name in parameter.opts}


def test_every_command_offers_them():
    for command in (image, text, video, sheet):
        assert names(command) >= SHARED, command.__name__
    for command in (image, text, video):
        assert names(command) >= TOLD, command.__name__
