"""A real server with real bad habits, on threads: each request meets the next of a path's moods."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Mood:
    """How one request is answered; as a good server would where nothing is said."""

    data: bytes | None = None  # instead of the published bytes
    etag: str | None = None  # instead of the published one
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body, then the connection is closed
    hang_after: int | None = None  # bytes of the body, then nothing more arrives
    trickle_s: float | None = None  # one byte each so many seconds
    ignore_range: bool = False
    ignore_if_range: bool = False
    claim: int | None = None  # a Content-Length of this many bytes; 0 for none at all
    silent: bool = False  # the request is read, and that is all
    held: bool = False  # no answer before the server's gate is open


GOOD = Mood()


@dataclass
class Publication:
    data: bytes
    etag: str | None
    moods: list[Mood]
    always: Mood


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None
    if_range: str | None
    method: str = "GET"


class Server:
    """``publish`` files, ask ``requests`` what was wanted. A context manager; with ``certificate`` it speaks TLS."""

    def __init__(self, certificate: Path | None = None, *, proxy: bool = False) -> None:
        self.publications: dict[str, Publication] = {}
        self.requests: list[Request] = []
        self.closing, self.gate = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._http = _Quiet(("127.0.0.1", 0), _Proxy if proxy else _Handler)
        self._http.kit = self
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self._http.context = context
            self.scheme = "https"

    @property
    def address(self) -> str:
        return f"{self.scheme}://localhost:{self._http.server_port}"

    def publish(
        self, path: str, data: bytes, *moods: Mood, always: Mood = GOOD, etag: str | None = '"v1"'
    ) -> str:
        """Serve ``data`` at ``path``: in these moods one after another, then ``always``. Its address."""
        self.publications[path] = Publication(data, etag, list(moods), always)
        return self.address + path

    def asked(self, path: str) -> list[str | None]:
        """The Range of every request for ``path``."""
        return [request.range for request in self.requests if request.path == path]

    def next_mood(self, path: str) -> Mood:
        with self._lock:
            publication = self.publications[path]
            return publication.moods.pop(0) if publication.moods else publication.always

    def __enter__(self) -> Server:
        # A short poll: shutdown waits for it.
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *ending: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    context: ssl.SSLContext | None = None
    kit: Server

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
        else:  # here, not in the accepting thread: a client may never finish it
            with self.context.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up in these tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Quiet

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        kit, self.close_connection = self.server.kit, True
        kit.requests.append(Request(self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        if self.path not in kit.publications:
            self.send_error(404)
            return
        published, mood = kit.publications[self.path], kit.next_mood(self.path)
        if mood.held:
            kit.gate.wait(20)
        if mood.silent:
            kit.closing.wait(20)
            return
        if mood.status != 200:
            self.send_response(mood.status)
            for name, value in mood.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = published.data if mood.data is None else mood.data
        etag = published.etag if mood.etag is None else mood.etag
        start = self._start(mood, etag)
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        body = data[start:]
        length = len(body) if mood.claim is None else mood.claim
        if length:
            self.send_header("Content-Length", str(length))
        if etag:
            self.send_header("ETag", etag)
        for name, value in mood.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(body, mood)

    def _start(self, mood: Mood, etag: str | None) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or mood.ignore_range:
            return 0
        condition = self.headers.get("If-Range")
        if condition is not None and condition != etag and not mood.ignore_if_range:
            return 0
        return int(asked[1])

    def _send(self, body: bytes, mood: Mood) -> None:
        if mood.trickle_s is not None:
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.server.kit.closing.wait(mood.trickle_s):
                    return
        elif mood.hang_after is not None:
            self.wfile.write(body[: mood.hang_after])
            self.server.kit.closing.wait(60)
        else:
            self.wfile.write(body if mood.cut_after is None else body[: mood.cut_after])


class _Proxy(BaseHTTPRequestHandler):
    """A forward proxy: plain requests are repeated, CONNECT makes a tunnel."""

    protocol_version = "HTTP/1.1"
    server: _Quiet

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        kit = self.server.kit
        kit.requests.append(Request(self.path, self.headers.get("Range"), None))
        host, _, path = self.path.removeprefix("http://").partition("/")
        name, _, port = host.partition(":")
        with socket.create_connection((name, int(port))) as upstream:
            lines = [f"GET /{path} HTTP/1.1", f"Host: {host}", "Connection: close", "", ""]
            upstream.sendall("\r\n".join(lines).encode())
            while data := upstream.recv(65536):
                self.wfile.write(data)

    def do_CONNECT(self) -> None:
        self.close_connection = True
        self.server.kit.requests.append(Request(self.path, None, None, "CONNECT"))
        name, _, port = self.path.partition(":")
        with socket.create_connection((name, int(port))) as upstream:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(upstream, self.connection), daemon=True)
            back.start()
            _pump(self.connection, upstream)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Rude:
    """Accepts connections and closes them after the first bytes: nobody gets through a TLS handshake."""

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"https://localhost:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)

    def __exit__(self, *ending: object) -> None:
        self._socket.close()


def certificate(folder: Path) -> Path:
    """A certificate for localhost that signs itself, with its key beside it; skips where openssl is not there."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    path = folder / "localhost.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(path.with_suffix(".key")), "-out", str(path)]
    subprocess.run(["openssl", "req", "-x509", *key, *subject, *files], check=True, capture_output=True)
    return path


def wait_for(condition: Any, seconds: float = 100) -> None:
    """Until ``condition()`` holds; fails the test where it never does."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
