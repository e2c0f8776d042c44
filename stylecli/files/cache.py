"""The folder for files that can be made or fetched again (weights, kernels, refined networks), and that for the user's
own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from stylecli.errors import UsageError


def cache_dir() -> Path:
    """The folder for files that do not come with the package; it need not exist.

    ``STYLIZE_CACHE`` where it is set, else the user's cache directory for stylecli. Raises UsageError where that
    variable names the folder of a user that does not exist.
    """
    override = os.environ.get("STYLIZE_CACHE")
    if override:
        try:
            return Path(override).expanduser()
        except RuntimeError:
            raise UsageError(f"STYLIZE_CACHE={override}: there is no such user") from None
    try:
        import platformdirs
    except ImportError:  # a bare training machine: torch and little else
        return Path.home() / ".cache" / "stylecli"
    return Path(platformdirs.user_cache_dir("stylecli", appauthor=False))


def data_dir() -> Path:
    """The user's folder for what they have given us to keep; it need not exist."""
    try:
        import platformdirs
    except ImportError:
        return Path.home() / ".local" / "share" / "stylecli"
    return Path(platformdirs.user_data_dir("stylecli", appauthor=False))


def digest_of(path: Path) -> str:
    """The file's sha256 in lower-case hex, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
