"""What the configurations of all networks share: they travel as JSON in the metadata of weights files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Self


class JsonConfig:
    """Base of a frozen dataclass of numbers, strings and tuples of them."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises TypeError or ValueError for something else."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
