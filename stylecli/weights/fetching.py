"""Bring a network's file into the cache: one process downloads, others wait; only a checked file gets its name."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

from stylecli.errors import WeightsError
from stylecli.files.cache import cache_dir
from stylecli.files.lock import locked
from stylecli.weights import progress
from stylecli.weights.addresses import OFFLINE, host_of, needs_network, offline, shown
from stylecli.weights.content import problem_inside
from stylecli.weights.download import Failed, Wanted, download
from stylecli.weights.manifest import Network, WeightFile
from stylecli.weights.store import State, cached_path, inspect, leaves_cache, pin, pinned

log = logging.getLogger(__name__)

STALL_S = 300.0  # how long to wait for another process's download while nothing arrives


def fetch(network: Network, file: WeightFile) -> Path:
    """The file's path, after bringing it into the cache if no good one is here. Replaces a damaged one.

    Raises WeightsError: one line with what stands in the way and what to do.
    """
    found = inspect(network, file)
    if found.problem is None:
        return found.path
    target = cached_path(network, file)
    try:
        return _fetch(network, file, target)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(
            f"weights {network.name}: {target} cannot be written ({reason}); STYLIZE_CACHE names another folder"
        ) from error


def folder_for(target: Path) -> Path:
    """Make the folder of a file in the cache, and give it. Raises OSError."""
    folder = target.parent
    if leaves_cache(folder):
        raise OSError("a symbolic link leads out of the cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def lock_path(network: str) -> Path:
    """One lock a network. It stays: removing a lock that somebody waits for would let two in."""
    return cache_dir() / "weights" / f"{network}.lock"


def _fetch(network: Network, file: WeightFile, target: Path) -> Path:
    urls = [url for url in file.urls if not (offline() and needs_network(url))]
    if not urls:
        raise WeightsError(_nowhere(network, file, target))
    part = folder_for(target).joinpath(target.name + ".part")

    def arrived() -> object:
        with suppress(OSError):
            return part.stat().st_size
        return None

    def waiting() -> None:
        log.info("%s: another process is downloading it, waiting", file.name)

    with locked(lock_path(network.name), STALL_S, watch=arrived, waiting=waiting) as held:
        if not held:
            raise WeightsError(
                f"weights {network.name}: another process has been downloading {file.name} for a while and "
                "nothing arrives; end it and try again"
            )
        found = inspect(network, file)
        if found.problem is None:  # the other one has finished meanwhile
            return found.path
        _download(network, file, target, part, urls)
    return target


def _download(network: Network, file: WeightFile, target: Path, part: Path, urls: list[str]) -> None:
    expected = file.sha256 or _recorded(target)
    size = "" if file.size is None else f", {progress.megabytes(file.size)}"
    log.info("downloading %s%s, from %s", file.name, size, host_of(urls[0]))
    begun = time.monotonic()
    wanted = Wanted(file.name, urls, file.size, expected, lambda path: problem_inside(path, target.suffix))
    try:
        digest = download(wanted, part)
    except Failed as error:
        changed = ""
        if file.sha256 is None and expected is not None:
            changed = f"; it was pinned when first seen, 'stylize weights remove {network.name}' forgets that"
        raise WeightsError(f"weights {network.name}: {file.name} not fetched: {error}{changed}") from None
    finally:
        progress.report(progress.Download(file.name, 0, None, ended=True))
    if file.sha256 is None:
        pin(target, digest)  # before the file has its name: it never lies there without its record
    part.replace(target)
    length, seconds = target.stat().st_size, time.monotonic() - begun
    verdict = f"sha256 {digest[:12]}… as expected"
    if expected is None:
        verdict = f"no sha256 is known for it; pinned the one it has now, {digest[:12]}…"
    log.info("%s: %s in %.1f s, %s", file.name, progress.megabytes(length), seconds, verdict)


def _recorded(target: Path) -> str | None:
    """The pinned digest of a file that is damaged or gone; a record that makes no sense counts as none."""
    with suppress(OSError, ValueError):
        return pinned(target)
    return None


def _nowhere(network: Network, file: WeightFile, target: Path) -> str:
    state = inspect(network, file).state
    what = f"weights {network.name}: {file.name} is {'damaged' if state is State.damaged else 'missing'}"
    if not file.urls:
        return f"{what} and no address is known for it; copy it to {target}"
    return (
        f"{what} and {OFFLINE} forbids fetching it; copy {shown(file.urls[0])} to {target}, or use "
        "'stylize weights export' elsewhere and 'import' here"
    )
