"""What the configurations of all networks share: they travel as JSON in the metadata of weights files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any, ClassVar, Self

_LARGEST = 1 << 20  # of any number that ``LIMITS`` does not name


class JsonConfig:
    """Base of a frozen dataclass of numbers, strings and tuples of them."""

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {}
    """Least and greatest value of fields that weights' shapes do not tell, such as strides: others would only fail, or
    never end, while a picture is painted."""

    RENAMED: ClassVar[dict[str, str]] = {}
    """Fields by the names that they have in older files."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError for something else, or for values out of range."""
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("the configuration is not a table")
        values = {cls.RENAMED.get(name, name): value for name, value in values.items()}
        usual = {field.name: field.default for field in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(usual))
        if unknown:
            raise ValueError(f"unknown in the configuration: {', '.join(unknown)[:60]}")
        return cls(**{name: cls._checked(name, value, usual[name]) for name, value in values.items()})

    @classmethod
    def _checked(cls, name: str, value: Any, usual: Any) -> Any:
        """``value`` as the field's own type."""
        if isinstance(usual, tuple):
            if not isinstance(value, list) or not 0 < len(value) <= 64:
                raise ValueError(f"{name} is not a list of numbers")
            if len(value) != len(usual):
                raise ValueError(f"{name} has {len(value)} numbers instead of {len(usual)}")
            return tuple(cls._checked(name, one, usual[0]) for one in value)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = number if isinstance(usual, float) else type(value) is type(usual)
        if not fits:
            raise ValueError(f"{name} is not {_KINDS[type(usual)]}")
        least, greatest = cls.LIMITS.get(name, (-math.inf if isinstance(usual, float) else 0, _LARGEST))
        if number and not (math.isfinite(value) and least <= value <= greatest):
            raise ValueError(f"{name} is out of range")
        return value


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
