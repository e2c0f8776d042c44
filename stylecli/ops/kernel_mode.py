"""``STYLIZE_KERNELS``: which compiled kernels may be used."""

from __future__ import annotations

import os

from stylecli.errors import UsageError

VARIABLE = "STYLIZE_KERNELS"


def kernel_mode() -> str:
    """``auto`` (the default): those that were proven on this very device; ``all``: without proof; ``off``: none.

    Raises UsageError for another value.
    """
    value = os.environ.get(VARIABLE) or "auto"
    if value not in ("auto", "all", "off"):
        raise UsageError(
            f"{VARIABLE}={value}: choose auto (compiled kernels that proved themselves on this device), all (without "
            "proof) or off (plain torch)"
        )
    return value


def kernels_wanted() -> bool:
    """Whether compiled kernels may be used at all."""
    return kernel_mode() != "off"
