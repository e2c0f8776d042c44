"""``--open``: results shown by whatever this machine shows pictures, films and folders with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stylecli.errors import UsageError


def show(paths: Sequence[Path]) -> None:
    """Open the one result, or the folder that several are in. Raises UsageError where nothing here can."""
    if not paths:
        return
    absolute = [path.absolute() for path in paths]
    what = (
        absolute[0] if len(set(absolute)) == 1 else Path(os.path.commonpath([one.parent for one in absolute]))
    )
    if sys.platform == "win32":
        os.startfile(what)
        return
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        raise UsageError(f"--open: nothing here opens files (no xdg-open); the result is {what}")
    # A viewer may stay open for hours, and say what it likes.
    nowhere = subprocess.DEVNULL
    viewer = subprocess.Popen(
        [opener, str(what)], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    _viewers.append(viewer)


_viewers: list[subprocess.Popen[bytes]] = []  # nobody waits for them
