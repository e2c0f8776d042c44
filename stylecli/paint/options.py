"""How to paint and with what, as the user asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import UsageError
from stylecli.paint.settings import AUTO, PICTURES, Settings, fingerprint

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer

TEMPORAL = 0.975
"""How firmly strokes of a film follow what moves, unless asked otherwise."""


@dataclass(frozen=True)
class PaintOptions:
    """How to paint: ``strength`` 0..1, ``stroke_size`` above 0 with 1 as the usual size, ``seed`` 0 .. 2^31 - 1,
    ``refine`` iterations that adapt the network to each style first, ``polish`` iterations on every painting,
    ``features`` the network by which both see textures, a name or a file, empty for the usual one, ``faces`` how much
    of the painting is seen in faces, 0..1.

    Raises UsageError for what cannot be had together."""

    strength: float = 1.0
    preserve_color: bool = False
    stroke_size: float = 1.0
    seed: int = 0
    refine: int = 0
    polish: int = 0
    features: str = ""
    colour_only: bool = False
    faces: float = 1.0

    def __post_init__(self) -> None:
        others = {"--preserve-color": self.preserve_color, "--refine": self.refine, "--polish": self.polish}
        given = [name for name, value in others.items() if value]
        if self.colour_only and given:
            raise UsageError(
                f"--colour-only takes the style's colours and none of its strokes: drop {given[0]}"
            )

    @property
    def needs_texture(self) -> bool:
        """Whether a style image's texture is wanted beside its vector."""
        return bool(self.refine or self.polish)

    @property
    def settings(self) -> Settings:
        return {
            "strength": float(self.strength),
            "preserve-color": self.preserve_color,
            "stroke-size": float(self.stroke_size),
            "seed": self.seed,
            "refine": self.refine,
            "polish": self.polish,
            **({"colour-only": True} if self.colour_only else {}),
            **({"faces": float(self.faces)} if self.faces < 1 else {}),
            **self._seen_by,
        }

    @property
    def _seen_by(self) -> Settings:
        from stylecli.weights.identity import fingerprint_of
        from stylecli.weights.store import looks_like_path

        if not (self.features and self.needs_texture):
            return {}
        own = looks_like_path(self.features)
        return {"features": fingerprint_of(Path(self.features)) if own else self.features}

    def fingerprint(self) -> str:
        return fingerprint(self.settings)


@dataclass(frozen=True)
class LoadOptions:
    """With what to paint: arguments of :meth:`stylecli.paint.stylizer.Stylizer.from_pretrained`."""

    model: str = PICTURES
    weights: Path | None = None
    device: str = AUTO
    dtype: str = AUTO
    seed: int = 0
    tile: int | None = None
    memory_limit: int | None = None

    @property
    def settings(self) -> Settings:
        """As far as they are known before the network is loaded: ``auto`` is settled then. Downloads nothing.

        Raises WeightsError for weights of the user's own that are missing or damaged.
        """
        from stylecli.models.registry import known_fingerprint

        numbers = known_fingerprint(self.model, self.weights, self.seed)
        # cuda:1 paints what cuda:0 does.
        device = {"device": self.device.partition(":")[0], "dtype": _DTYPES.get(self.dtype, self.dtype)}
        return device if numbers is None else {"weights": numbers, **device}

    def fingerprint(self) -> str:
        return fingerprint(self.settings)

    def load(self) -> Stylizer:
        """Raises as :meth:`stylecli.paint.stylizer.Stylizer.from_pretrained` does."""
        from stylecli.paint.stylizer import Stylizer

        return Stylizer.from_pretrained(
            self.model,
            device=self.device,
            dtype=self.dtype,
            weights=self.weights,
            seed=self.seed,
            tile=self.tile,
            memory_limit=self.memory_limit,
        )


_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
