"""What a visitor has chosen, as the options of a painting and as words on a command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylecli.paint.options import PaintOptions
from stylecli.run import ready
from stylecli.run.masks import Masks
from stylecli.run.style_specs import StyleSpec, collect_styles

STYLES_OWN, PHOTOGRAPHS, ONLY = "the style's", "the photograph's", "the style's, and no strokes"
COLOURS = (STYLES_OWN, PHOTOGRAPHS, ONLY)


@dataclass(frozen=True)
class Chosen:
    """A style: ``name`` for people, ``words`` for the command line."""

    spec: StyleSpec
    name: str
    words: tuple[str, ...]

    @staticmethod
    def ready(name: str) -> Chosen:
        """``@woodblock``. Raises UsageError."""
        return Chosen(collect_styles([Path(name)], [])[0], name, ("--style", name))

    @staticmethod
    def phrase(text: str) -> Chosen:
        """Raises UsageError for an empty one."""
        spec = collect_styles([], [], [text])[0]
        return Chosen(spec, f'"{text.strip()}"', ("--prompt", text.strip()))

    @staticmethod
    def picture(path: Path) -> Chosen:
        return Chosen(collect_styles([path], [])[0], path.name, ("--style", path.name))


@dataclass(frozen=True)
class How:
    """How to paint: what the page's sliders and buttons say."""

    strength: float = 1.0
    stroke_size: float = 1.0
    colours: str = STYLES_OWN
    invert: bool = False
    feather: float = 0.0

    @property
    def options(self) -> PaintOptions:
        return PaintOptions(
            strength=round(self.strength, 2),
            stroke_size=round(self.stroke_size, 2),
            preserve_color=self.colours == PHOTOGRAPHS,
            colour_only=self.colours == ONLY,
        )

    def masks(self, path: Path | None, scale: float = 1.0) -> Masks | None:
        """``path`` as a mask; ``scale``: how large the picture is that it is for, of the full size."""
        return None if path is None else Masks(path, self.invert, self.feather * scale)

    def words(self, mask: Path | None) -> list[str]:
        """What differs from the defaults of the command line."""
        options = self.options
        said = {
            f"--strength {options.strength:g}": options.strength != 1,
            f"--stroke-size {options.stroke_size:g}": options.stroke_size != 1,
            "--preserve-color": options.preserve_color,
            "--colour-only": options.colour_only,
            f"--mask {mask and mask.name}": mask is not None,
            "--invert-mask": mask is not None and self.invert,
            f"--feather {self.feather:g}": mask is not None and self.feather > 0,
        }
        return [word for text, counts in said.items() if counts for word in text.split(" ")]


def command_line(command: str, inputs: Sequence[str], words: Sequence[str], device: str) -> str:
    """What to type for the same result."""
    where = [] if device == "auto" else ["--device", device]
    return shlex.join(["stylize", command, *inputs, *words, *where])


def ready_names() -> list[str]:
    """``@woodblock`` and the others, the user's own too."""
    return [f"{ready.SIGN}{name}" for name in dict.fromkeys([*ready.shipped(), *ready.own()])]
