"""Carry downloaded files to a machine without a network: out of one cache into a folder, from there into another.

The folder has the cache's own layout: ``NETWORK/FILE``, with ``FILE.sha256`` beside it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stylecli.errors import WeightsError
from stylecli.files.lock import locked
from stylecli.weights.content import problem_inside
from stylecli.weights.fetching import folder_for, lock_path
from stylecli.weights.manifest import Network, WeightFile, load_manifest
from stylecli.weights.store import State, cached_path, inspect, pin, pin_path, pinned

LOCK_S = 10.0


@dataclass(frozen=True)
class Moved:
    """What became of one file; ``problem`` is a line of its own, None where it is in its new place."""

    network: str
    file: str
    path: Path
    problem: str | None = None


def export_to(folder: Path) -> Iterator[Moved]:
    """Copy every file of the cache into ``folder``. Those in the package are not copied: every package has them."""
    for network in load_manifest().values():
        for file in network.files:
            found = inspect(network, file)
            target = folder / network.name / file.name
            if found.state is State.damaged:
                yield Moved(network.name, file.name, target, f"{found.path} {found.problem}")
            elif found.state is State.cached and found.sha256 is not None:
                yield _copied(network, file, found.path, target, found.sha256)


def import_from(folder: Path) -> Iterator[Moved]:
    """Copy into the cache what ``folder`` has of the manifest's networks, each file checked as after a download.

    Raises WeightsError if it has nothing of them.
    """
    nothing = True
    for network in load_manifest().values():
        for file in network.files:
            source = folder / network.name / file.name
            if os.path.lexists(source):
                nothing = False
                yield _imported(network, file, folder, source)
    if nothing:
        raise WeightsError(
            f"{folder}: nothing in it to import; 'stylize weights export {folder}' fills such a folder"
        )


def remove(network: Network) -> int:
    """Remove what the cache has of a network, records and halves of downloads too; the number of files removed.

    Raises WeightsError where another process is downloading them, or they cannot be removed.
    """
    count = 0
    folder = cached_path(network, network.files[0]).parent
    if not folder.is_dir():
        return 0
    try:
        folder = folder_for(cached_path(network, network.files[0]))
        with locked(lock_path(network.name), LOCK_S) as held:
            if not held:
                raise WeightsError(
                    f"weights {network.name}: another process is downloading them; end it first"
                )
            for file in network.files:
                for ending in ("", ".sha256", ".sha256.part", ".part", ".part-notes"):
                    path = folder / (file.name + ending)
                    if os.path.lexists(path):
                        path.unlink()
                        count += ending in ("", ".part")
            with suppress(OSError):
                folder.rmdir()  # only if it is empty now
    except OSError as error:
        raise WeightsError(
            f"weights {network.name}: {folder} cannot be removed ({_reason(error)})"
        ) from error
    return count


def _imported(network: Network, file: WeightFile, folder: Path, source: Path) -> Moved:
    target = cached_path(network, file)

    def refused(problem: str) -> Moved:
        return Moved(network.name, file.name, target, f"{source} {problem}")

    try:
        if not source.resolve().is_relative_to(folder.resolve()):
            return refused("is refused: a symbolic link leads out of the folder")
        if not source.is_file():
            return refused("is not a file")
        size = source.stat().st_size
        if file.size is not None and size != file.size:
            return refused(f"is damaged ({size:,} bytes instead of {file.size:,})")
        problem = problem_inside(source)
        if problem is not None:
            return refused(problem)
        expected = file.sha256 or pinned(target) or pinned(source)
        folder_for(target)
        with locked(lock_path(network.name), LOCK_S) as held:
            if not held:
                return refused(f"not imported: another process is downloading {file.name}")
            return _copied(network, file, source, target, expected)
    except (OSError, ValueError, RuntimeError) as error:
        return refused(f"not imported ({_reason(error)})")


def _copied(network: Network, file: WeightFile, source: Path, target: Path, expected: str | None) -> Moved:
    """Copy in one go with the check: what was read is what is written. ``expected`` None: any digest is right."""
    part = target.with_name(target.name + ".part")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # not through a link, and not after half a download
        with source.open("rb") as reading, part.open("xb") as writing:
            while data := reading.read(1 << 20):
                digest.update(data)
                writing.write(data)
            writing.flush()
            os.fsync(writing.fileno())
        if expected is not None and digest.hexdigest() != expected:
            part.unlink()
            problem = f"{source} is damaged (sha256 {digest.hexdigest()[:12]}… instead of {expected[:12]}…)"
            return Moved(network.name, file.name, target, problem)
        if file.sha256 is None:
            pin(target, digest.hexdigest())
        else:
            pin_path(target).unlink(missing_ok=True)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        return Moved(network.name, file.name, target, f"{target} cannot be written ({_reason(error)})")
    return Moved(network.name, file.name, target)


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error
