"""``--watch``: which files of some folders are complete, now and from now on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from stylecli.errors import UsageError
from stylecli.files.remote import local_only
from stylecli.run.paths import canonical_path, is_folder

_SETTLED_S = 1.0  # a file that has not changed for so long is complete
_LOOK_MS = 250  # between looks at what is not complete yet


def arrivals(inputs: Sequence[str], *, recursive: bool) -> Iterator[frozenset[str]]:
    """Places (:func:`canonical_path`) of files that are complete: first of those that are there, then of what arrives.

    Without an end but Ctrl-C. Raises UsageError where watchfiles is missing or an input is no folder.
    """
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise UsageError("--watch needs watchfiles: pip install 'stylecli[watch]'") from None
    local_only(*inputs)
    for text in inputs:
        if not is_folder(text):
            raise UsageError(f"--watch {text}: only folders can be watched")
    return _arrivals(inputs, recursive)


def _arrivals(inputs: Sequence[str], recursive: bool) -> Iterator[frozenset[str]]:
    from watchfiles import Change, watch

    waiting = {Path(text) / name for text in inputs for name in _files(Path(text), recursive)}
    changes = watch(
        *inputs,
        watch_filter=None,
        recursive=recursive,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
    )
    for seen in changes:
        for change, name in seen:
            path = Path(name)
            if change == Change.deleted:
                waiting.discard(path)
            elif is_folder(path) and recursive:  # one that was moved here is told as a whole
                waiting |= {path / below for below in _files(path, recursive)}
            else:
                waiting.add(path)
        complete = {path for path in waiting if _is_complete(path)}
        waiting -= complete
        found = frozenset(canonical_path(path) for path in complete if path.is_file())
        if found:
            yield found


def _files(folder: Path, recursive: bool) -> Iterator[str]:
    for below, folders, names in os.walk(folder):
        yield from (os.path.relpath(Path(below) / name, folder) for name in names)
        if not recursive:
            folders.clear()


def _is_complete(path: Path) -> bool:
    """Whether nobody writes to it any more; what has gone is of no more interest, either."""
    try:
        status = path.stat()
    except OSError:
        return True
    changed = max(status.st_mtime, status.st_ctime)
    return status.st_size > 0 and not 0 <= time.time() - changed < _SETTLED_S
