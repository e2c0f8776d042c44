"""What tells two results apart.

Whatever changes a pixel is among the ``settings``: resuming, saved styles, adapted networks and results' provenance
compare nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]
"""Names of options, and what JSON can say."""

PICTURES = PHRASES = "stylerwkv-s"
"""The networks that paint like a picture and like a phrase, unless asked otherwise. StyleRWKV paints after phrases,
too: what a phrase names is seen in its paintings twice as often as in StyleMamba's (docs/quality.md)."""

AUTO = "auto"

_UNLESS_SAID: Settings = {"mask": None, "colour-only": False, "faces": 1.0}
"""Settings that stand among the others only where they are not these."""


def fingerprint(settings: Settings) -> str:
    """16 hex digits that stand for some settings."""
    text = json.dumps(dict(settings), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def differences(made: Settings, wanted: Settings) -> list[str]:
    """Which settings are known to differ, in words for a person: "strength 1, now 0.6".

    What is ``auto`` agrees with anything, and so does what the other side does not know.
    """
    words = []
    made = {**_UNLESS_SAID, **made}
    for name, value in {**_UNLESS_SAID, **wanted}.items():
        if value == AUTO or name not in made or made[name] == value:
            continue
        before, now = _shown(made[name]), _shown(value)
        words.append(f"{name} {before}, now {now}" if before and now else name)
    return words


def _shown(value: object) -> str:
    """Empty for what says nothing to a person: fingerprints."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return "" if len(value) == 16 and not set(value) - set("0123456789abcdef") else value
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
