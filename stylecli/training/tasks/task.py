"""What the trainer asks of a network: a module, losses of a step, and what to release."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from stylecli.errors import UsageError
from stylecli.models.config import JsonConfig
from stylecli.models.registry import load_network
from stylecli.training.checkpoint import RELEASE
from stylecli.training.parallel import Worker
from stylecli.training.recipe import Recipe


@dataclass(frozen=True)
class Release:
    """A weights file.

    Attributes:
        weights: its tensors. config: the network's configuration (JSON).
        eight_bits: see :func:`stylecli.models.packing.pack`.
        measured: figures for the training record. file: its name in the run's folder.
    """

    weights: dict[str, Tensor]
    config: str
    eight_bits: Sequence[str] = ()
    measured: dict[str, float] = field(default_factory=dict)
    file: str = RELEASE


class TrainingTask(ABC):
    """One network's training. Everything random depends on (seed, step, place in the batch) alone, so that a resumed
    run is exact, and so that workers together do what one does.

    Attributes:
        settings: dataclass of the tables that it adds to a recipe; one of them is ``losses``, name to weight.
        shares_batch: whether workers may share a batch.
        module: what learns; every parameter that is not frozen gets a gradient at every step.
        weights: of the losses that count; the others need not be computed.
    """

    settings: ClassVar[type]
    shares_batch: ClassVar[bool] = True
    module: nn.Module

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        self.recipe, self.worker, self.out = recipe, worker, out
        self.own: Any = recipe.own
        self.weights = {name: weight for name, weight in asdict(self.own.losses).items() if weight}
        if not self.weights:
            raise UsageError(f"{recipe.name}: losses: every weight is 0")

    def start(self, kind: str, default: JsonConfig) -> tuple[Any, dict[str, Tensor]]:
        """Configuration of the network, with the changes of the recipe's table ``network``, and the weights that it
        begins with. Without a ``warm_start``: the default one, and none."""
        config, weights = default, {}
        if self.recipe.warm_start:
            known = load_network(self.recipe.weights(self.recipe.warm_start), kind)
            config, weights = cast(Any, known).config, known.state_dict()
        return replace(cast(Any, config), **self.own.network), weights

    def load(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        """Let a module begin with weights; what they lack begins fresh. Raises UsageError for other shapes."""
        try:
            module.load_state_dict(weights, strict=False)
        except RuntimeError:
            recipe = self.recipe
            raise UsageError(f"{recipe.name}: network: of other sizes than {recipe.warm_start}") from None

    def begin(self) -> None:  # noqa: B027
        """Put the module where training starts from. Not called where a run is resumed."""

    def groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """Parameters that learn, by their share of the learning rate."""
        return [(1.0, [p for p in self.module.parameters() if p.requires_grad])]

    def batch(self, step: int) -> Any:
        """This worker's part of what a step learns from, in full precision."""
        return None

    @abstractmethod
    def terms(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Unweighted losses of a batch, means over its pictures; computed in the recipe's precision."""

    @abstractmethod
    def releases(self, averaged: nn.Module) -> list[Release]:
        """Weights files of a moving average of ``module``; the first is the main one."""

    def sheet(self, averaged: nn.Module, path: Path) -> None:  # noqa: B027
        """Draw what it does on pictures that it was not trained on, where the recipe names some."""
