"""Lines on stderr for people, and on stdout for programs."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress


def one_line(text: object) -> str:
    """``text`` without anything that would break or repaint a line: file names may hold any character."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in str(text)
    )


def stdout_is_open() -> bool:
    """Whether anything can be written to stdout (a full disk counts as open)."""
    try:
        os.write(sys.stdout.fileno(), b"")
    except ValueError:  # one that is no file, in tests
        return True
    except OSError as error:
        return error.errno != errno.EBADF
    return True


# What is said to a person is not worth a run: a stderr that is closed, full or hung up is passed over.


def print_error(message: object) -> None:
    """One line about what stopped the program."""
    with suppress(OSError, ValueError):
        print(f"stylize: {one_line(message)}", file=sys.stderr, flush=True)


def print_block(text: str) -> None:
    """Lines for people that are made elsewhere, such as a traceback under ``-v``."""
    with suppress(OSError, ValueError):
        print(text.rstrip("\n"), file=sys.stderr, flush=True)


def print_text(text: str) -> None:
    """Lines for a file or another program, on stdout."""
    print(text.rstrip("\n"), flush=True)


def print_json(fields: Mapping[str, object]) -> None:
    """One object on a line of stdout."""
    print(json.dumps(dict(fields), default=str), flush=True)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table on stdout; columns are as wide as they need to be."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (one_line(cell).ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), flush=True)
