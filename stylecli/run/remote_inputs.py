"""Inputs and styles that lie elsewhere: which files an address means."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from stylecli.errors import InputError, UsageError
from stylecli.files import remote
from stylecli.files.atomic import atomic_path
from stylecli.files.cache import cache_dir
from stylecli.files.remote import RemotePath
from stylecli.media.discover import Discovery, Found, Problem, _is_junk, _natural
from stylecli.media.formats import readable_suffixes


def find_remote(
    texts: Iterable[str], recursive: bool, suffixes: Collection[str] | None = None, kind: str = "image"
) -> Discovery:
    """The pictures (or what else has ``suffixes``) that addresses mean: a file, those of a folder, or those of a
    pattern. Raises UsageError where a package is missing."""
    wanted = readable_suffixes() if suffixes is None else suffixes
    discovery = Discovery()
    for text in texts:
        address = remote.as_path(text)
        assert isinstance(address, RemotePath)
        try:
            discovery.images.extend(_found_at(address, recursive, wanted, kind))
        except InputError as error:
            discovery.problems.append(Problem(str(address), str(error).removeprefix(f"{address}: ")))
    return discovery


def _found_at(address: RemotePath, recursive: bool, suffixes: Collection[str], named: str) -> list[Found]:
    """Raises InputError where there are none."""
    pattern = any(sign in str(address) for sign in "*?[")
    kind = None if pattern and address.protocol not in ("http", "https") else remote.kind_of(address)
    if kind == "file":
        return [Found(address, None)]
    if kind == "directory":
        files = _pictures(remote.files_below(address, recursive), suffixes)
        if not files:
            raise InputError(
                f"a folder without {named}s" + ("" if recursive else " (-r searches those below it)")
            )
        return [Found(path, address) for path in files]
    if not pattern:
        raise InputError("does not exist")
    files = _pictures(remote.matching(address), suffixes, address.suffix)
    if not files:
        raise InputError(f"matches no {named}s")
    return [Found(path, None) for path in files]


def _pictures(paths: Iterator[RemotePath], suffixes: Collection[str], named: str = "") -> list[RemotePath]:
    wanted = {*suffixes} | ({named.lower()} if named and "*" not in named else set())
    good = [path for path in paths if not _is_junk(path.name) and path.suffix.lower() in wanted]
    return sorted(good, key=lambda path: [_natural(part) for part in path.parts])


def fetched(address: Path) -> Path:
    """A copy of a style image on this machine, kept in the cache by its digest. Raises UsageError."""
    assert isinstance(address, RemotePath)
    try:
        data = remote.read(address)
        there = cache_dir() / "shipped" / hashlib.sha256(data).hexdigest() / address.name
        if not (there.is_file() and there.read_bytes() == data):
            with atomic_path(there) as part:
                part.write_bytes(data)
    except InputError as error:
        raise UsageError(f"style image {error}") from error
    return there
