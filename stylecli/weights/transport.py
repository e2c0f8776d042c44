"""One request, and the answer's bytes: over https with the system's certificates and proxies, or from a file.

Everything that can go wrong comes out as one of two errors: Refused (asking again is no use) and Hiccup (it may be).
"""

from __future__ import annotations

import email.utils
import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from stylecli import __version__
from stylecli.weights.addresses import needs_network, problem_with, shown

_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = 10


class Refused(Exception):
    """This address does not give the file; ``str(error)`` says why, worded to follow its server's name and a colon."""


class Hiccup(Exception):
    """Something passing; ``wait`` is the server's own wish, in seconds. ``restart``: what is here is of no use."""

    def __init__(self, reason: str, wait: float | None = None, *, restart: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.restart = restart


@dataclass
class Answer:
    """A file's bytes from ``offset`` on. ``validator`` (ETag or date) names this version of the file."""

    stream: Any
    offset: int
    total: int | None
    validator: str | None

    def read(self) -> bytes:
        """What has arrived; empty at the end, or where the connection was cut. Raises Hiccup."""
        with _as_ours():
            # read() would wait for all it is asked for, however slowly it trickles in.
            data: bytes = self.stream.read1(1 << 18)
            return data


@contextmanager
def request(url: str, offset: int, validator: str | None, timeout: float) -> Iterator[Answer]:
    """Ask for ``url`` from byte ``offset`` on, if the file still is the version ``validator``.

    The answer may begin at 0 all the same. ``timeout`` bounds the connection, the wait for the head of the answer
    and every single wait for more of it. Raises Refused or Hiccup.
    """
    problem = problem_with(url)
    if problem is not None:
        raise Refused(problem)
    if not needs_network(url):
        with _open_file(url) as stream:
            yield Answer(stream, 0, Path(stream.name).stat().st_size, None)
        return
    headers = {"User-Agent": f"stylecli/{__version__}", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator is not None:
            headers["If-Range"] = validator
    with _as_ours():
        reply = _open(url, headers, timeout)
    with reply:
        yield _understand(reply, offset)


def _open(url: str, headers: dict[str, str], timeout: float) -> Any:
    """Send the request and follow redirects within the rules, never from https to http."""
    opener = _opener()
    for _ in range(_REDIRECTS):
        try:
            return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            target = error.headers.get("Location")
            if error.code not in (301, 302, 303, 307, 308) or target is None:
                raise
            error.close()
        target = urljoin(url, target)
        problem = problem_with(target)
        if problem is None and not needs_network(target):
            problem = "is a file of this machine"
        if problem is None and url.lower().startswith("https:") and not target.lower().startswith("https:"):
            problem = "is not https"
        if problem is not None:
            raise Refused(f"redirects to {shown(target)}, which {problem}")
        url = target
    raise Refused("redirects in a circle")


def _understand(reply: Any, asked: int) -> Answer:
    head, offset = reply.headers, 0
    if head.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise Refused(f"sends the file packed ({head['Content-Encoding'][:40]}), which was not asked for")
    length = head.get("Content-Length", "")
    total = int(length) if re.fullmatch(r"\d{1,18}", length) else None
    if reply.status == 206:
        span = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", head.get("Content-Range", "").strip())
        if span is None or int(span[1]) != asked:
            raise Hiccup("answered with another part of the file", restart=True)
        offset = asked
        total = None if span[2] == "*" else int(span[2])
    elif reply.status != 200:
        raise Refused(_answered(reply.status, reply.reason))
    tag = head.get("ETag", "")
    version = (
        tag if tag.startswith('"') else head.get("Last-Modified")
    )  # weak tags promise nothing about bytes
    if version is not None and re.fullmatch(r"[ -~]{1,500}", version) is None:
        version = None
    return Answer(reply, offset, total, version)


@contextmanager
def _as_ours() -> Iterator[None]:
    """Turn every error of the libraries below into Refused or Hiccup."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise _http_error(error) from None
    except urllib.error.URLError as error:
        raise _network_error(error.reason) from None
    except http.client.InvalidURL as error:
        raise Refused(f"is not an address ({error})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _network_error(error) from None


def _http_error(error: urllib.error.HTTPError) -> Exception:
    words = _answered(error.code, error.reason)
    if error.code == 416:  # the file is shorter than what is here
        return Hiccup(words, restart=True)
    if error.code in _TRANSIENT:
        return Hiccup(words, _retry_after(error.headers.get("Retry-After", "")))
    return Refused(words)


def _answered(status: int, reason: object) -> str:
    """The server's own words, within bounds."""
    return f"answered {status} {str(reason or '')[:60]}".rstrip()


def _network_error(reason: object) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Refused(
            f"its certificate is not trusted ({reason.verify_message}); behind a company's proxy, "
            "SSL_CERT_FILE names the certificates to trust"
        )
    if isinstance(reason, TimeoutError):
        return Hiccup("gave no answer in time")
    if isinstance(reason, socket.gaierror):
        return Hiccup("its name was not found: is there a network?")
    if isinstance(reason, ConnectionRefusedError):
        return Hiccup("refuses connections")
    if isinstance(reason, http.client.IncompleteRead | ConnectionError | ssl.SSLEOFError):
        return Hiccup("cut the connection")
    if isinstance(reason, ssl.SSLError):
        return Hiccup(f"no secure connection ({reason.reason or reason})")
    if isinstance(reason, OSError):
        return Hiccup(f"cannot be reached ({reason.strerror or reason})")
    return Hiccup(f"gave no sensible answer ({type(reason).__name__})")


def _retry_after(text: str) -> float | None:
    """Seconds, from a number of them or a date."""
    if re.fullmatch(r"\d{1,9}", text.strip()):
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return None


class _Bounded:
    """The head of an answer has to arrive in time as a whole, not only each of its bytes."""

    sock: socket.socket | None
    timeout: float | None

    def getresponse(self) -> http.client.HTTPResponse:
        timer = threading.Timer(self.timeout or 60, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            response: http.client.HTTPResponse = super().getresponse()  # type: ignore[misc]
            return response
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class _Http(_Bounded, http.client.HTTPConnection):
    pass


class _Https(_Bounded, http.client.HTTPSConnection):
    pass


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Http, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Https, req, context=ssl.create_default_context())


def _opener() -> urllib.request.OpenerDirector:
    """No ftp, no data addresses, no files, no redirects on its own. Proxies come from the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpHandler(),
        _HttpsHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _open_file(url: str) -> Iterator[IO[bytes]]:
    path = Path(urllib.request.url2pathname(urlsplit(url).path))
    try:
        if not path.is_file():  # a device or a pipe would never end
            raise Refused("there is no such file")
        stream = path.open("rb")
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror})") from None
    with stream:
        yield stream
