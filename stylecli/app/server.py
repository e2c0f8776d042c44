"""Serves the page: on loopback unless told otherwise, to itself alone, from a temporary folder."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylecli.errors import UsageError
from stylecli.paint.options import LoadOptions

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PORT, PORTS = 7860, 100  # the first that is tried, and how many
MOST_BYTES = 1 << 30  # of one upload
MOST_IN_ALL = 8 << 30  # of all that is in the folder
_ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# Nothing on the page may be asked of another host, nor may a page of another host show it.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"
)


def serve(
    loading: LoadOptions, host: str, port: int | None, say: Callable[[str], None], *, show: bool
) -> None:
    """Serve until Ctrl-C, and remove all files then. ``show``: open the page in the browser.

    Raises UsageError where Gradio is missing or the address cannot be had, and what loading a network raises.
    """
    _check_gradio()
    with (
        closing(_listening(host, port)) as listener,
        tempfile.TemporaryDirectory(prefix="stylize-app-", ignore_cleanup_errors=True) as folder,
    ):
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        if not is_loopback(host):
            say(f"whoever can reach {host} can use the page: there is no password")
        address = f"http://{_in_address(host)}:{listener.getsockname()[1]}/"
        _run(loading, Path(folder), listener, host, lambda: _begun(address, say, show))


def _check_gradio() -> None:
    import importlib.util

    if importlib.util.find_spec("gradio") is None:
        raise UsageError("stylize app needs Gradio: pip install 'stylecli[app]'")


def _listening(host: str, port: int | None) -> socket.socket:
    reason = ""
    for place in range(PORT, PORT + PORTS) if port is None else (port,):
        try:
            family = socket.getaddrinfo(host, place, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, place), family=family, backlog=128)
        except OSError as error:
            number = error.errno or 0  # names have errors of their own, below 0
            reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    raise UsageError(f"{host}:{port or PORT} cannot be had: {reason}; --port names another one")


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _begun(address: str, say: Callable[[str], None], show: bool) -> None:
    say(f"the page is at {address} (Ctrl-C ends it)")
    if show and not webbrowser.open(address):
        say("no browser could be opened: --open needs one")


def _run(
    loading: LoadOptions, folder: Path, listener: socket.socket, host: str, begun: Callable[[], None]
) -> None:
    import uvicorn

    from stylecli.app.studio import Studio

    studio = Studio(loading, folder)
    server = uvicorn.Server(
        uvicorn.Config(application(studio, host), log_level="error", timeout_graceful_shutdown=2)
    )

    def end(number: int, frame: object) -> None:
        server.should_exit = True

    for number in _ENDS:  # Ctrl-C, a service manager, a terminal that is closed
        signal.signal(number, end)
    studio.warm()
    begun()
    try:
        server.run([listener])
    finally:
        studio.close()


def application(studio: Any, host: str) -> Any:
    """The page as an ASGI application, behind what it must not let through."""
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware import Middleware

    from stylecli.app.page import CSS, THEME, page

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[Middleware(Gate, folder=studio.folder, hosts=_LOCAL if is_loopback(host) else ())],
    )
    return gr.mount_gradio_app(
        app,
        page(studio),
        path="",
        server_name=host,
        footer_links=[],
        run_history=False,
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        css=CSS,
    )


_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Gate:
    """Lets requests of the page itself through.

    A page of another host may not ask anything in the visitor's name, not even by a name of its own for this address
    (``hosts``: those that are good; empty: any); uploads end where ``folder`` is full; and the browser is told to ask
    no other host.
    """

    def __init__(self, app: ASGIApp, folder: Path, hosts: tuple[str, ...]) -> None:
        self.app, self.folder, self.hosts = app, folder, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from starlette.responses import PlainTextResponse

        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        if (self.hosts and host.rpartition(":")[0] not in self.hosts) or (
            origin is not None and origin.partition("://")[2] != host
        ):
            await PlainTextResponse("not from here", 403)(scope, receive, send)
            return
        if scope["path"].endswith("/upload") and self._is_full(int(headers.get("content-length", 0))):
            await PlainTextResponse("the folder for uploads is full: close other pages", 413)(
                scope, receive, send
            )
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", _POLICY.encode())]
            await send(message)

        await self.app(scope, receive, guarded)

    def _is_full(self, more: int) -> bool:
        there = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return there + more > MOST_IN_ALL
