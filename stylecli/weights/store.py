"""From a network's name to a local file that has been checked, byte for byte.

The order: the file inside the package, then the user's cache, then its publisher. A file that is not the one the
manifest describes is never handed out. Where the manifest has no sha256, the file's own is pinned when it is first
seen: recorded beside it, in a form that ``sha256sum -c`` reads, and asked of it ever after.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stylecli.errors import WeightsError
from stylecli.files.cache import cache_dir, digest_of
from stylecli.weights import manifest
from stylecli.weights.content import SUFFIX, problem_inside
from stylecli.weights.manifest import Network, WeightFile

log = logging.getLogger(__name__)


class State(StrEnum):
    bundled = "bundled"
    cached = "cached"
    missing = "missing"
    damaged = "damaged"


@dataclass(frozen=True)
class Found:
    """Where a file is and how it is: ``problem`` follows the path's name; ``sha256`` is that of a good file."""

    state: State
    path: Path
    problem: str | None = None
    size: int | None = None
    sha256: str | None = None
    pinned: bool = False  # the digest it was checked against is the one that it had when it was first seen


def named(name: str) -> Network:
    """The network of the manifest that is called so. Raises WeightsError, naming the known ones."""
    networks = manifest.load_manifest()
    if name not in networks:
        known = ", ".join(sorted(networks))
        raise WeightsError(f"no weights are called {name!r}; known: {known}, or the path of a {SUFFIX} file")
    return networks[name]


def inspect(network: Network, file: WeightFile) -> Found:
    """Look for a file and check it, byte for byte. Changes nothing, asks nobody."""
    first_problem = None
    for state, place in _places(network, file):
        found = _check(state, place, file)
        if found.problem is None:
            return found
        # A damaged file tells more than an absent one does, and the package's place more than the cache.
        if first_problem is None or (first_problem.state, found.state) == (State.missing, State.damaged):
            first_problem = found
    assert first_problem is not None
    return first_problem


def cached_path(network: Network, file: WeightFile) -> Path:
    """Where the file lies in the cache once it is there."""
    return cache_dir() / "weights" / network.name / file.name


def is_here(name: str) -> bool:
    """Whether a network's first file lies here, whole: nothing would have to be fetched."""
    network = named(name)
    return inspect(network, network.file()).problem is None


def fixed_digests(name: str) -> str:
    """What is known of a network's files without reading them: digests of the manifest, or as first seen here."""
    network = named(name)
    known = [file.sha256 or _seen_digest(cached_path(network, file)) for file in network.files]
    return f"{network.name} {network.version} {' '.join(known)}"


def _seen_digest(path: Path) -> str:
    try:
        return pinned(path) or ""
    except (OSError, ValueError):
        return ""


def pin_path(path: Path) -> Path:
    """Where the digest of ``path`` is recorded, if the manifest does not know it."""
    return path.with_name(path.name + ".sha256")


def pinned(path: Path) -> str | None:
    """The digest that was recorded for ``path``; None without a record. Raises OSError or ValueError."""
    try:
        text = pin_path(path).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    found = re.match(r"[0-9a-f]{64}\b", text)
    if found is None:
        raise ValueError(f"{pin_path(path).name} holds no sha256")
    return found[0]


def pin(path: Path, digest: str) -> None:
    """Record the digest of ``path``. Raises OSError."""
    record = pin_path(path)
    part = record.with_name(record.name + ".part")
    part.unlink(missing_ok=True)  # not through a link
    part.write_text(f"{digest}  {path.name}\n", encoding="ascii")
    part.replace(record)


def leaves_cache(path: Path) -> bool:
    """True for a path in the cache that a symbolic link leads out of it."""
    return not path.resolve().is_relative_to(cache_dir().resolve())


def _places(network: Network, file: WeightFile) -> Iterator[tuple[State, Path]]:
    if file.bundled is not None:
        yield State.bundled, manifest.PACKAGE.joinpath(*file.bundled.parts)
    yield State.cached, cached_path(network, file)


def _check(state: State, path: Path, file: WeightFile) -> Found:
    """The file at ``path`` as it is. ``state`` is what it is in if it is good."""
    expected = "" if file.size is None else f" (expected: {file.size:,} bytes)"
    try:
        if state is State.cached and leaves_cache(path):
            return Found(State.damaged, path, "is refused: a symbolic link leads out of the cache")
        if not os.path.lexists(path):
            return Found(State.missing, path, f"is missing{expected}")
        if not path.is_file():
            return Found(State.damaged, path, "is not a file")
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            return Found(State.damaged, path, f"is damaged ({size:,} bytes instead of {file.size:,})")
        problem = problem_inside(path)
        if problem is not None:
            return Found(State.damaged, path, problem)
        record = pinned(path) if file.sha256 is None else None
        digest, wanted = digest_of(path), file.sha256 or record
        if wanted is not None and digest != wanted:
            since = "" if record is None else ", which it had when it was first seen"
            problem = f"is damaged (sha256 {digest[:12]}… instead of {wanted[:12]}…{since})"
            return Found(State.damaged, path, problem)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        return Found(State.damaged, path, f"cannot be read ({getattr(error, 'strerror', None) or error})")
    return Found(state, path, None, size, digest, pinned=record is not None)


def pin_first_seen(path: Path, digest: str) -> None:
    """For a file that was put into the cache by hand."""
    try:
        pin(path, digest)
    except OSError:  # a cache that cannot be written holds no record
        return
    log.info("%s: no sha256 is known for it; pinned the one it has now, %s…", path, digest[:12])


def looks_like_path(text: str) -> bool:
    """Whether this names a file of the user's own, not an entry of ``weights.toml``."""
    return Path(text).suffix.lower() in (SUFFIX, ".pt", ".pth", ".ckpt", ".bin") or Path(text).name != text
