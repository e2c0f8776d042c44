"""``STYLIZE_KERNELS``: which compiled kernels may be used."""

from __future__ import annotations

import os

from stylecli.errors import UsageError

VARIABLE = "STYLIZE_KERNELS"


def kernels_wanted(device: str = "cpu") -> bool:
    """Whether to use compiled kernels on this type of device. Raises UsageError for an unknown value.

    ``auto`` (the default) uses those that were proven on real hardware, and those for CUDA have not been run on a
    card yet; ``all`` uses them too; ``off`` uses none.
    """
    value = os.environ.get(VARIABLE) or "auto"
    if value not in ("auto", "all", "off"):
        raise UsageError(
            f"{VARIABLE}={value}: choose auto (compiled kernels), all (those for graphics cards too, not yet run on "
            "a card) or off (plain torch)"
        )
    return value == "all" or (value == "auto" and device == "cpu")
