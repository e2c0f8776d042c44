"""Files elsewhere: ``s3://``, ``gs://``, ``https://`` and whatever else fsspec knows (extra ``[remote]``).

A remote path is a path like any other (name, suffix, parent, ``/``); what is done with its contents is done here.
Nothing is half-written under its final name: object stores show an object once it is complete, elsewhere a temporary
file is renamed.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar

from stylecli.errors import InputError, StylizeError, UsageError
from stylecli.files.atomic import TakenError, WriteError

_T = TypeVar("_T")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?!/)(.*)", re.DOTALL)
_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "r2"})  # an object appears whole
_READ_ONLY = frozenset({"http", "https"})
_TRIES = 4
_WAIT_S = 0.5  # before the second try, then twice as long each time
_BLOCK = 1 << 18  # bytes that are fetched of a file whose header is wanted


class RemotePath(type(Path())):  # type: ignore[misc]
    """A path with an address in front; questions to the disk of this machine (``exists``, ``stat``) are not for it."""

    def __str__(self) -> str:
        text = super().__str__().replace("\\", "/")
        match = _ADDRESS.fullmatch(text)
        return f"{match[1]}://{match[2]}" if match else text

    def __fspath__(self) -> str:
        return str(self)

    def as_posix(self) -> str:
        return str(self)

    def absolute(self) -> RemotePath:
        return self

    @property
    def protocol(self) -> str:
        return str(self).partition(":")[0].lower()

    @property
    def writable(self) -> bool:
        return self.protocol not in _READ_ONLY


def as_path(text: str | Path) -> Path:
    """A path, remote where it begins with an address (also of one whose slashes a Path has merged). Raises UsageError
    for one with a password in it."""
    if isinstance(text, RemotePath):
        return text
    match = _ADDRESS.fullmatch(str(text))
    if match is None or match[1].lower() == "file":
        return Path(str(text).removeprefix("file://"))
    if re.match(r"[^/]*:[^/]*@", match[2]):
        raise UsageError(
            f"{match[1]}://: a password in an address would be seen by others; set it where fsspec looks"
        )
    return RemotePath(f"{match[1]}://{match[2]}")


def is_remote(text: str | Path) -> bool:
    return isinstance(as_path(text), RemotePath)


def local_only(*texts: str | Path | None) -> None:
    """Raises UsageError where one of them is an address."""
    for text in texts:
        if text is not None and is_remote(text):
            raise UsageError(
                f"{as_path(text)}: a file of this machine is wanted here; addresses are for what image, text and video "
                "paint, for style images and -o"
            )


def kind_of(path: RemotePath) -> str | None:
    """``file``, ``directory``, or None for nothing. What lies beside it is asked for once, and remembered.

    Raises InputError where the other side does not answer."""
    if not path.writable:
        with suppress(FileNotFoundError):
            fs, key = _there(path)
            return str(_patiently(path, lambda: fs.info(key))["type"])
        return None
    if len(path.parts) <= 2:  # a bucket
        return "directory"
    return _listing(path.parent).get(path.name)


def forget() -> None:
    """What was remembered of folders."""
    _listing.cache_clear()


def read(path: RemotePath) -> bytes:
    """All of it. Raises InputError."""
    fs, key = _there(path)
    try:
        return bytes(_patiently(path, lambda: fs.cat_file(key)))
    except FileNotFoundError:
        raise InputError(f"{path}: does not exist") from None


def opened(path: Path) -> IO[bytes]:
    """A file, here or elsewhere, of which only what is read is fetched. Raises OSError, or as the other side does."""
    if not isinstance(path, RemotePath):
        return path.open("rb")
    fs, key = _there(path)
    return fs.open(key, "rb", block_size=_BLOCK)  # type: ignore[no-any-return]


def write(path: RemotePath, data: bytes, *, replace: bool = True) -> None:
    """Raises WriteError, and TakenError as :func:`stylecli.files.atomic.atomic_path` does."""
    _put(path, lambda fs, key: fs.pipe_file(key, data), replace)


def send(file: Path, path: RemotePath, *, replace: bool = True) -> None:
    """A file of this machine; raises as ``write`` does."""
    _put(path, lambda fs, key: fs.put_file(str(file), key), replace)


def _put(path: RemotePath, put: Callable[[Any, str], object], replace: bool) -> None:
    fs, key = _there(path)
    try:
        fs.invalidate_cache()
        if not replace and _patiently(path, lambda: fs.exists(key)):
            raise TakenError(f"{path}: was written by somebody else meanwhile, and stays as it is")
        if path.protocol in _STORES:
            _patiently(path, lambda: put(fs, key))
            return
        folder, _, _ = key.rpartition("/")
        part = f"{folder}/.stylize-{secrets.token_hex(8)}.part"
        try:
            _patiently(path, lambda: fs.makedirs(folder, exist_ok=True))
            _patiently(path, lambda: put(fs, part))
            fs.mv(part, key)
        except BaseException:
            with suppress(Exception):
                fs.rm(part)
            raise
    except FileNotFoundError:
        raise WriteError(path, "there is no such bucket") from None
    except TakenError:
        raise
    except InputError as error:
        raise WriteError(path, str(error).removeprefix(f"{path}: ")) from error


def files_below(folder: RemotePath, recursive: bool) -> Iterator[RemotePath]:
    """Files of a folder, in no order. Raises InputError."""
    fs, key = _there(folder)
    fs.invalidate_cache()
    with suppress(FileNotFoundError):
        yield from _named(fs, _patiently(folder, lambda: fs.find(key, maxdepth=None if recursive else 1)))


def matching(pattern: RemotePath) -> Iterator[RemotePath]:
    """Files that a pattern with ``*`` means. Raises InputError."""
    fs, key = _there(pattern)
    fs.invalidate_cache()
    with suppress(FileNotFoundError):
        found = _patiently(pattern, lambda: fs.glob(key, detail=True))
        yield from _named(fs, [name for name, info in found.items() if info["type"] == "file"])


def _named(fs: Any, keys: list[str]) -> Iterator[RemotePath]:
    for key in keys:
        path = as_path(fs.unstrip_protocol(key))
        if isinstance(path, RemotePath):
            yield path


@lru_cache(maxsize=4096)
def _listing(folder: RemotePath) -> dict[str, str]:
    fs, key = _there(folder)
    fs.invalidate_cache()
    try:
        found = _patiently(folder, lambda: fs.ls(key, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {one["name"].rstrip("/").rpartition("/")[2]: one["type"] for one in found}


def _there(path: RemotePath) -> tuple[Any, str]:
    """The file system of an address, and its name there. Raises UsageError where a package is missing."""
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations
    except ImportError:
        raise UsageError(f"{path}: addresses need fsspec: pip install 'stylecli[remote]'") from None
    try:
        fs, key = url_to_fs(str(path))
    except (ImportError, ValueError) as error:
        if path.protocol not in known_implementations:
            raise UsageError(f"{path}: {path.protocol}:// is nothing that fsspec knows") from error
        needs = known_implementations[path.protocol]["class"].partition(".")[0]
        needs = {"fsspec": "'fsspec[full]'", "s3fs": "'stylecli[remote]'"}.get(needs, needs)
        raise UsageError(f"{path}: {path.protocol}:// needs one more package: pip install {needs}") from error
    return fs, str(key)


def _patiently(path: RemotePath, call: Callable[[], _T]) -> _T:
    """What ``call`` gives, tried again where the way was at fault. Raises InputError, and what says that there is no
    such file."""
    for left in reversed(range(_TRIES)):
        try:
            return call()
        except (FileNotFoundError, NotADirectoryError):
            raise
        except StylizeError:
            raise
        except Exception as error:
            if _lasting(error) or not left:
                raise InputError(f"{path}: {_words(error)}") from error
            time.sleep(_WAIT_S * 2 ** (_TRIES - 1 - left))
    raise AssertionError


def _lasting(error: Exception) -> bool:
    """Whether another try would end in the same way. Libraries have kinds of their own for what is wrong on the way."""
    status = getattr(error, "status", None)  # aiohttp's, of an answer
    if isinstance(status, int) and 400 <= status < 500:
        return True
    return isinstance(
        error, PermissionError | IsADirectoryError | FileExistsError | LookupError | ValueError | TypeError
    )


def _words(error: Exception) -> str:
    """What the other side said, in one line; without what stands behind a question mark: signatures."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"\?[^\s'\"]+", "?…", text)[:300]
