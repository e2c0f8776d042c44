"""The only room that prints.

Lines for people go to stderr, always. Stdout carries either the picture itself (``-o -``) or, with
``--json``, one object a line:

- ``{"event": "planned", "source", "target", "style"}`` (``--dry-run`` alone)
- ``{"event": "faces", "source", "faces", "drawn"}``: left, top, width and height of each, in shares of the picture
  (``--dry-run --faces`` alone)
- ``{"event": "started", "source", "target", "style"}``; of a film about once a second also
  ``{"event": "progress", "source", "style", "frames", "total", "rate"}`` (total is null where nothing says)
- ``{"event": "done", "source", "target", "style", "seconds", "width", "height"}``; of a film also
  ``"frames", "bytes"``
- ``{"event": "skipped", "source", "target", "style", "reason"}``
- ``{"event": "failed", "source", "target", "style", "reason"}``; target and style are null when the input
  was refused before it was paired with a style
- ``{"event": "notice", "source", "text"}``, and ``"warning"`` in the same way
- ``{"event": "summary", "done", "failed", "skipped", "seconds"}``, last; ``"interrupted": true`` after Ctrl-C
- ``{"event": "error", "message", "exit_code"}`` instead, for what ends a command: wrong usage, no weights, a bug

Strings are escaped to ASCII, so that every file name survives.

Rooms below say what a person should know with ``logging``; a Console shows it: warnings and information as lines,
debug messages under ``-v``.
"""

from stylecli.console.console import Console
from stylecli.console.lines import (
    one_line,
    print_block,
    print_error,
    print_json,
    print_table,
    print_text,
    stdout_is_open,
)

__all__ = [
    "Console",
    "one_line",
    "print_block",
    "print_error",
    "print_json",
    "print_table",
    "print_text",
    "stdout_is_open",
]
