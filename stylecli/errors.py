"""Errors that a person can act on. Each is one line that names the file or option and says what to do.

Exit codes (``stylize`` and this table agree; see docs/reference.md):
0 everything done · 1 some inputs failed · 2 wrong usage · 3 weights missing or damaged ·
4 out of memory even at the smallest tile · 130 interrupted.
"""

from __future__ import annotations

import errno


class StylizeError(Exception):
    """Base of every error this package raises on purpose; ``str(error)`` is one line for the user."""

    exit_code = 1


class InputError(StylizeError):
    """An input file cannot be read, or an output cannot be written. The rest of the batch goes on."""

    exit_code = 1


class UsageError(StylizeError):
    """The options contradict each other or name something that does not exist."""

    exit_code = 2


class WeightsError(StylizeError):
    """Weights are missing, damaged, or of another architecture."""

    exit_code = 3


class OutOfMemoryError(StylizeError):
    """Memory ran out even at the smallest working size."""

    exit_code = 4


def is_out_of_memory(error: BaseException) -> bool:
    """Whether any library says that memory did not suffice, each in its own way."""
    if isinstance(error, MemoryError | OutOfMemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch on a CPU has no type for it, nor have the C++ runtime, oneDNN and the loader of libraries behind it.
    text = str(error)
    return isinstance(error, RuntimeError | ImportError) and any(words in text for words in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "Cannot allocate",
    "could not create a primitive",
    "could not execute a primitive",
    "failed to map segment",
)
