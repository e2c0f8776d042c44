"""``STYLIZE_KERNELS``: whether compiled kernels may be used at all."""

from __future__ import annotations

import os

from stylecli.errors import UsageError

VARIABLE = "STYLIZE_KERNELS"


def kernels_wanted() -> bool:
    """True for ``auto`` (the default), False for ``off``. Raises UsageError for any other value."""
    value = os.environ.get(VARIABLE) or "auto"
    if value not in ("auto", "off"):
        raise UsageError(
            f"{VARIABLE}={value}: choose auto (compiled kernels where possible) or off (plain torch)"
        )
    return value == "auto"
