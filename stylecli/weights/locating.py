"""From a name to the path of a verified file, which is fetched where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

from stylecli.errors import WeightsError
from stylecli.weights.content import SUFFIX, problem_inside
from stylecli.weights.manifest import Network, WeightFile
from stylecli.weights.store import State, cached_path, inspect, looks_like_path, named, pin_first_seen


def locate(name: str | os.PathLike[str], file: str | None = None) -> Path:
    """The path of a network's file, which is fetched first if it is neither here nor offline.

    ``name`` is a name in ``weights.toml``, or the path of an existing ``.safetensors`` file, of which only the
    header is checked (there is nothing to compare it with). ``file`` picks one of a network's files; the first is
    the default. A file of the manifest is verified by size and sha256 at every call: about 10 ms for 12 MB.

    Raises WeightsError, one line with what to do, for an unknown name and for a missing or damaged file.
    """
    text = os.fspath(name)
    if looks_like_path(text):
        return _users_own(Path(text))
    network = named(text)
    entry = network.file(file)
    found = inspect(network, entry)
    if found.state is State.damaged or (found.state is State.missing and not entry.urls):
        raise WeightsError(f"weights {network.name}: {found.path} {found.problem}; {_remedy(network, entry)}")
    if found.state is State.missing:
        from stylecli.weights.fetching import fetch

        return fetch(network, entry)
    if found.state is State.cached and entry.sha256 is None and not found.pinned and found.sha256 is not None:
        pin_first_seen(found.path, found.sha256)
    return found.path


def _users_own(path: Path) -> Path:
    try:
        if not path.is_file():
            raise WeightsError(f"weights {path}: there is no such file")
        if path.suffix.lower() != SUFFIX:
            raise WeightsError(f"weights {path}: only {SUFFIX} files are read (a pickle could run any code)")
        problem = problem_inside(path)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    if problem is not None:
        raise WeightsError(f"weights {path}: {problem}")
    return path


def _remedy(network: Network, file: WeightFile) -> str:
    place = cached_path(network, file)
    if file.bundled is not None:
        return f"reinstall stylecli, or copy the right file to {place}"
    if file.urls:
        return f"'stylize weights fetch {network.name}' fetches it again"
    return f"copy the right file to {place}, or give the path of one"
