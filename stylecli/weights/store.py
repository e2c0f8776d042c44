"""From a network's name to a local file that has been checked, byte for byte.

The order: the file inside the package, then the user's cache. A file that is not the one the manifest
describes is never handed out.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from stylecli.errors import WeightsError
from stylecli.weights import manifest
from stylecli.weights.manifest import SUFFIX, Network, WeightFile


def locate(name: str | os.PathLike[str], file: str | None = None) -> Path:
    """The path of a network's safetensors file.

    ``name`` is a name in ``weights.toml``, or the path of an existing ``.safetensors`` file, which is taken
    as it is (there is nothing to check it against). ``file`` picks one of a network's files; the first is
    the default. A file of the manifest is verified by size and sha256 at every call: about 10 ms for 12 MB.

    Raises WeightsError, one line with what to do, for an unknown name and for a missing or damaged file.
    """
    text = os.fspath(name)
    if _looks_like_path(text):
        return _users_own(Path(text))
    networks = manifest.load_manifest()
    if text not in networks:
        known = ", ".join(sorted(networks))
        raise WeightsError(f"no weights are called {text!r}; known: {known}, or the path of a {SUFFIX} file")
    return _verified(networks[text], networks[text].file(file))


def cache_dir() -> Path:
    """The folder for files that do not come with the package; it need not exist.

    ``STYLIZE_CACHE`` where it is set, else the user's cache directory for stylecli.
    """
    override = os.environ.get("STYLIZE_CACHE")
    if override:
        return Path(override).expanduser()
    try:
        import platformdirs
    except ImportError:  # a bare training machine: torch and little else
        return Path.home() / ".cache" / "stylecli"
    return Path(platformdirs.user_cache_dir("stylecli", appauthor=False))


def digest_of(path: Path) -> str:
    """The file's sha256 in lower-case hex, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _looks_like_path(text: str) -> bool:
    return Path(text).suffix.lower() in (SUFFIX, ".pt", ".pth", ".ckpt", ".bin") or Path(text).name != text


def _users_own(path: Path) -> Path:
    if not path.is_file():
        raise WeightsError(f"weights {path}: there is no such file")
    if path.suffix.lower() != SUFFIX:
        raise WeightsError(f"weights {path}: only {SUFFIX} files are read (a pickle could run any code)")
    return path


def _verified(network: Network, file: WeightFile) -> Path:
    """The first of the file's possible places that holds the right bytes."""
    cached = cache_dir() / "weights" / network.name / file.name
    places = [cached]
    if file.bundled is not None:
        places.insert(0, manifest.PACKAGE.joinpath(*file.bundled.parts))
    complaint = None
    for place in places:
        problem = _problem(place, file)
        if problem is None:
            return place
        # A damaged file tells more than an absent one does.
        if place.exists() and complaint is None:
            complaint = f"{place} {problem}"
    if complaint is None:
        expected = "" if file.size is None else f" (expected: {file.size:,} bytes)"
        complaint = f"{places[0]} is missing{expected}"
    if file.bundled is not None:
        remedy = f"reinstall stylecli, or copy the right file to {cached}"
    else:
        remedy = f"copy the right file to {cached}, or give the path of one"
    raise WeightsError(f"weights {network.name}: {complaint}; {remedy}")


def _problem(path: Path, file: WeightFile) -> str | None:
    """What is wrong with the file at ``path``, worded to follow its name; None where nothing is."""
    try:
        if not path.is_file():
            return "is not a file"
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            return f"is damaged ({size:,} bytes instead of {file.size:,})"
        if file.sha256 is not None:
            digest = digest_of(path)
            if digest != file.sha256:
                return f"is damaged (sha256 {digest[:12]}… instead of {file.sha256[:12]}…)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None
