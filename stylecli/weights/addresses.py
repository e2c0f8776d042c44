"""Which addresses weights may come from: https, http on this machine alone, and files."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

OFFLINE = "STYLIZE_OFFLINE"


def offline() -> bool:
    """True where the user wants no network: ``STYLIZE_OFFLINE`` is set, and not to 0."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


def needs_network(url: str) -> bool:
    return not url.lower().startswith("file:")


def problem_with(url: str) -> str | None:
    """Why nothing is fetched from ``url``, worded to follow it; None for one that will do."""
    if re.fullmatch(r"[!-~]+", url) is None:
        return "is not an address (spaces and letters beyond ASCII are written as %20 and the like)"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme == "file":
        return None if host in (None, "localhost") and parts.path else "is not a file of this machine"
    if parts.scheme not in ("https", "http") or not host:
        return "is not an https address"
    if parts.username is not None or parts.password is not None:
        return "carries a user name or password"
    if parts.scheme == "http" and not _loopback(host):
        return "is http, which anybody on the way can change: https only (http on this machine alone)"
    return None


def shown(url: str) -> str:
    """``url`` for a message: without what follows ``?``, where signed addresses keep their secrets."""
    return url.partition("#")[0].partition("?")[0]


def host_of(url: str) -> str:
    """The server's name for a message."""
    return urlsplit(url).netloc if needs_network(url) else shown(url)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
