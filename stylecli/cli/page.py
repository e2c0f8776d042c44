"""``stylize app``: a page in the browser, for who would rather look than type."""

from __future__ import annotations

from typing import Annotated

import typer

from stylecli.cli import options

Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS", help="Where the page is served; other than 127.0.0.1, others can reach it."
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, metavar="N", show_default="7860 or the next that is free", help="Its port."
    ),
]
Show = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def page(
    host: Host = "127.0.0.1",
    port: Port = None,
    open: Show = False,
    device: options.DeviceOption = options.Device.auto,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Serve a page on this machine: drop a photograph there, see it in every ready style, and save what you like.

    Needs Gradio: pip install 'stylecli[app]'. Nothing is sent anywhere, and what the page keeps is removed at the end.
    """
    from stylecli.app.server import serve
    from stylecli.console import Console
    from stylecli.paint.options import LoadOptions

    with Console(quiet=quiet, verbose=verbose) as console:
        serve(LoadOptions(device=device.value), host, port, console.say, show=open)
