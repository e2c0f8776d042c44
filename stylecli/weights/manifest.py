"""``weights.toml``: read, check, and hand out as frozen dataclasses. The file itself explains its format.

The file that ``STYLIZE_WEIGHTS_MANIFEST`` names, if any, adds networks or replaces them.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stylecli.errors import WeightsError
from stylecli.weights.addresses import problem_with
from stylecli.weights.content import SUFFIXES

PACKAGE = Path(__file__).resolve().parent.parent
VARIABLE = "STYLIZE_WEIGHTS_MANIFEST"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # cannot leave its folder, on no file system
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WeightFile:
    """One file of a network. ``bundled`` is a path inside the package; it implies size and sha256.

    ``urls`` are the addresses to fetch it from, tried in this order.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    bundled: PurePosixPath | None = None
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    """One table of ``weights.toml``; ``files`` is never empty."""

    name: str
    kind: str
    version: str
    licence: str
    source: str
    files: tuple[WeightFile, ...]
    used_by: str = ""

    def file(self, name: str | None = None) -> WeightFile:
        """The file called ``name``, or the first one. Raises WeightsError where there is none such."""
        if name is None:
            return self.files[0]
        for file in self.files:
            if file.name == name:
                return file
        raise WeightsError(f"weights {self.name}: has no file {name}")


def manifest_path() -> Path:
    """Where ``weights.toml`` is: inside an installed package, or at the top of a source checkout."""
    installed = PACKAGE / "weights.toml"
    if installed.is_file():
        return installed
    checkout = PACKAGE.parent / "weights.toml"
    if checkout.is_file() and (PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise WeightsError(f"weights.toml is missing ({installed}): reinstall stylecli")


def load_manifest(path: Path | None = None) -> dict[str, Network]:
    """Every network of the manifest at ``path``, by name; by default the package's own and then the user's.

    Raises WeightsError, naming the file and the entry, for anything that is not as the format asks.
    """
    if path is not None:
        return _load(path, path.name)
    own = manifest_path()
    users = os.environ.get(VARIABLE)
    return _load(own, own.name) | (_load(_expanded(users), users) if users else {})


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~nobody/here
        raise WeightsError(f"{VARIABLE}={text}: {error}") from None


def _load(path: Path, origin: str) -> dict[str, Network]:
    try:
        return parse_manifest(path.read_text(encoding="utf-8"), origin)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path}: cannot be read ({reason})") from error


def parse_manifest(text: str, origin: str = "weights.toml") -> dict[str, Network]:
    """Networks from the manifest's text; ``origin`` is what error messages call it."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WeightsError(f"{origin}: not valid TOML: {error}") from error
    except RecursionError:
        raise WeightsError(f"{origin}: not valid TOML: nested too deeply") from None
    return {name: _network(f"{origin}: [{name}]", name, table) for name, table in tables.items()}


def _network(where: str, name: str, table: Any) -> Network:
    _require(isinstance(table, Mapping), where, "must be a table")
    _require(_NAME.fullmatch(name) is not None, where, "a name is made of a-z, 0-9, '.', '_' and '-'")
    _only(where, table, {"kind", "version", "licence", "source", "used_by", "files"})
    entries = table.get("files")
    _require(isinstance(entries, list) and len(entries) > 0, where, "needs at least one file")
    files = tuple(_file(f"{where} file {number}", entry) for number, entry in enumerate(entries, 1))
    # Some file systems do not tell a.json from A.json.
    _require(len({file.name.lower() for file in files}) == len(files), where, "names one file twice")
    return Network(
        name=name,
        kind=_text(where, table, "kind"),
        version=_text(where, table, "version"),
        licence=_text(where, table, "licence"),
        source=_text(where, table, "source"),
        files=files,
        used_by=_text(where, table, "used_by") if "used_by" in table else "",
    )


def _file(where: str, entry: Any) -> WeightFile:
    _require(isinstance(entry, Mapping), where, "must be a table")
    _only(where, entry, {"name", "size", "sha256", "bundled", "urls"})
    name = _text(where, entry, "name")
    plain = _FILE.fullmatch(name) is not None and name.endswith(SUFFIXES)
    _require(plain, where, f"name must be a plain file name ending in {' or '.join(SUFFIXES)}, not {name!r}")

    size = entry.get("size")
    # bool is an int to Python, but `size = true` is a mistake
    right_size = size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
    _require(right_size, where, f"size must be a positive number of bytes, not {size!r}")

    digest = entry.get("sha256")
    right_digest = digest is None or (isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None)
    _require(right_digest, where, f"sha256 must be 64 lower-case hex digits, not {digest!r}")

    bundled = None
    if "bundled" in entry:
        bundled = PurePosixPath(_text(where, entry, "bundled"))
        inside = not bundled.is_absolute() and ".." not in bundled.parts and "\\" not in str(bundled)
        _require(inside, where, f"bundled must be a path inside the package, not {str(bundled)!r}")
        right = bundled.suffix in SUFFIXES
        _require(right, where, f"bundled must end in {' or '.join(SUFFIXES)}, not {str(bundled)!r}")
        _require(size is not None and digest is not None, where, "a bundled file needs size and sha256")
    return WeightFile(name=name, size=size, sha256=digest, bundled=bundled, urls=_urls(where, entry))


def _urls(where: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    urls = entry.get("urls", [])
    right = isinstance(urls, list) and all(isinstance(url, str) for url in urls)
    _require(right, where, f"urls must be a list of addresses, not {urls!r}")
    for url in urls:
        problem = problem_with(url)
        _require(problem is None, where, f"{url!r} {problem}")
    return tuple(urls)


def _text(where: str, table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise WeightsError(f"{where}: {key} must be given as text, not {value!r}")
    return value


def _only(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    unknown = ", ".join(sorted(set(table) - known))
    _require(not unknown, where, f"unknown key {unknown} (known: {', '.join(sorted(known))})")


def _require(condition: bool, where: str, message: str) -> None:
    if not condition:
        raise WeightsError(f"{where}: {message}")
