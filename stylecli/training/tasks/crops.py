"""Sizes of crops over a run, as most recipes have them."""

from __future__ import annotations

from dataclasses import dataclass

from stylecli.errors import UsageError
from stylecli.training.recipe import Recipe


@dataclass(frozen=True)
class Crops:
    """Sides of crops in pixels: ``first`` for a share of the run, because early steps need no more, then ``size``."""

    size: int = 224
    first: int = 160
    first_share: float = 0.6

    def at(self, step: int, steps: int) -> int:
        return self.first if step < self.first_share * steps else self.size

    def check(self, recipe: Recipe) -> None:
        """Raises UsageError."""
        for side in (self.first, self.size):
            check_side(recipe, side, 32)


def check_side(recipe: Recipe, side: int, multiple: int) -> None:
    """Raises UsageError for a side of crops that a network cannot take."""
    if side % multiple or side < multiple:
        raise UsageError(f"{recipe.name}: crops of {side} pixels must be multiples of {multiple}")
