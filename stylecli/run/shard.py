"""``--shard I/N``: the I-th of N parts of a plan, so that several machines share one command without talking.

The name of a result alone decides which part it belongs to: files that are added or finished move nothing.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from stylecli.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``count``."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Shard:
        """Read ``2/8``; all of it where nothing was asked for. Raises UsageError."""
        if text is None:
            return cls()
        match = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard {text}: write I/N, the I-th of N parts, as in 1/8, 2/8 ... 8/8")
        return cls(int(match[1]), int(match[2]))

    def takes(self, name: Path) -> bool:
        """Whether the result called ``name`` (relative to its folder of results) is in this part.

        The same on every machine: of the name's UTF-8, in one spelling of accents (macOS has another)."""
        if self.count == 1:
            return True
        spelled = unicodedata.normalize("NFC", name.as_posix()).encode("utf-8", "surrogateescape")
        number = int.from_bytes(hashlib.sha256(spelled).digest()[:8], "big")
        return number % self.count == self.index - 1
