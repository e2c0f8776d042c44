"""Styles: what a picture is painted with (style images or phrases, one or several mixed), and its name in files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from stylecli.errors import UsageError
from stylecli.files.remote import is_remote
from stylecli.run import ready
from stylecli.run.masks import Masks
from stylecli.run.paths import exists, is_file, is_folder
from stylecli.run.ready import style_digest
from stylecli.run.style_text import REST, Prompt, clean_prompt, read_blend, read_region

_LONGEST_NAME = 40


@dataclass(frozen=True)
class StyleSpec:
    """Style images or phrases with their shares (which sum to 1), under the name that goes into output files.

    ``layers`` instead of parts: styles that are each seen within a mask (None: everywhere), the lowest first.
    """

    name: str
    parts: tuple[tuple[Path | Prompt, float], ...]
    layers: tuple[tuple[Masks | None, StyleSpec], ...] = ()

    @property
    def files(self) -> list[Path]:
        """The style images among the parts."""
        below = [path for _, spec in self.layers for path in spec.files]
        return [*below, *(part for part, _ in self.parts if isinstance(part, Path))]

    @property
    def masks(self) -> tuple[Masks | None, ...]:
        """Where each of its paintings is seen; (None,) for one that is seen everywhere."""
        return tuple(masks for masks, _ in self.layers) or (None,)

    def with_files(self, here: Mapping[Path, Path]) -> StyleSpec:
        """The same with its files at other places."""
        parts = tuple(
            (here.get(part, part) if isinstance(part, Path) else part, share) for part, share in self.parts
        )
        layers = tuple(
            (None if masks is None else masks.with_files(here), spec.with_files(here))
            for masks, spec in self.layers
        )
        return replace(self, parts=parts, layers=layers)

    def fingerprint(self) -> str:
        """Of the bytes of its images, its phrases and their shares. Raises UsageError for an unreadable file."""
        digest = hashlib.sha256()
        for masks, spec in self.layers:
            digest.update(f"{masks is None} {spec.fingerprint()}\n".encode())
        for part, share in self.parts:
            try:
                what = (
                    style_digest(part)
                    if isinstance(part, Path)
                    else f"{part.text}\n{part.take}\n{_phrases()}"
                )
            except OSError as error:
                raise UsageError(f"style image {part}: cannot be read: {error.strerror or error}") from None
            digest.update(f"{what}\n{share!r}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _phrases() -> str:
    """Stands for what phrases look like."""
    from stylecli.models.registry import known_fingerprint

    return "".join(known_fingerprint(name) or "" for name in ("styleprior-s", "siglip-s"))


def collect_styles(
    styles: Sequence[Path], blends: Sequence[str], prompts: Sequence[str] = (), takes: int = 1
) -> list[StyleSpec]:
    """Make the styles of ``--style``, ``--prompt`` and ``--blend`` (one each), in that order.

    A folder means each of its images; a phrase, alone or in a blend, gives ``takes`` styles. What is named twice counts
    once. Raises UsageError when there is nothing, when a file does not exist or a phrase is empty, or when two styles
    would give the same name to their outputs.
    """
    specs = [spec_of(path) for given in styles for path in _images(given)]
    for spec in (*_said_styles(prompts), *map(parse_blend, blends)):
        specs += _takes(spec, takes) if any(isinstance(part, Prompt) for part, _ in spec.parts) else [spec]
    specs = list(dict.fromkeys(specs))
    if not specs:
        raise UsageError(
            "no style given: add --style IMAGE (repeatable), --prompt TEXT or --blend a.jpg:0.7,b.jpg:0.3"
        )
    names = [spec.name.casefold() for spec in specs]
    # Phrases that differ in nothing a file name keeps get names that tell them apart.
    specs = [
        spec
        if spec.files or names.count(spec.name.casefold()) == 1
        else StyleSpec(_with_digest(spec), spec.parts)
        for spec in specs
    ]
    named: dict[str, StyleSpec] = {}
    for spec in specs:
        other = named.setdefault(spec.name.casefold(), spec)
        if other is not spec:
            raise UsageError(
                f"styles {_paths(other)} and {_paths(spec)} would both be called '{spec.name}' in the names "
                "of the outputs: rename one, or run them one after the other into different -o folders"
            )
    return specs


def collect_prompts(prompts: Sequence[str], blends: Sequence[str], takes: int = 1) -> list[StyleSpec]:
    """The same of a command that paints after phrases: ``Claude Monet:0.6,ukiyo-e:0.4`` is a blend.

    Raises UsageError for an empty one, or when there is none.
    """
    if not (prompts or blends):
        raise UsageError('no prompt given: say what to paint like, as in "Paul Gauguin style"')
    return collect_styles([], blends, prompts, takes)


def read_phrases(file: Path) -> list[str]:
    """The phrases in a text file, one a line; what begins with # is a remark. Raises UsageError in one line."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"--phrases {file}: cannot be read: {reason}") from None
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise UsageError(f"--phrases {file}: no phrase in it; write one a line")
    return found


def _said_styles(prompts: Sequence[str]) -> list[StyleSpec]:
    return [StyleSpec(prompt_name(text), ((Prompt(text), 1.0),)) for text in map(clean_prompt, prompts)]


def _takes(spec: StyleSpec, count: int) -> list[StyleSpec]:
    """So many styles of one: ukiyo-e, ukiyo-e-2 and so on."""
    found = [spec]
    for take in range(1, count):
        parts = tuple(
            (replace(part, take=take) if isinstance(part, Prompt) else part, share)
            for part, share in spec.parts
        )
        found.append(StyleSpec(f"{spec.name}-{take + 1}", parts))
    return found


def prompt_name(text: str) -> str:
    """A phrase as part of a file name: "Paul Gauguin style" becomes paul-gauguin-style.

    Where little is left of it (an emoji, another script) or it is long, a digest of the phrase follows."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(name) >= 2 and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME].strip('-') or 'prompt'}-{_digest(text)}"


def _with_digest(spec: StyleSpec) -> str:
    return f"{spec.name}-{_digest(repr(spec.parts))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def parse_blend(text: str) -> StyleSpec:
    """Of ``--blend``, see :func:`stylecli.run.style_text.read_blend`. Raises UsageError in one line."""
    shares = read_blend(text)
    name = "-".join(f"{_part_name(part)}{round(100 * share)}" for part, share in shares)
    return StyleSpec(name, tuple((part_of(part), share) for part, share in shares))


def spec_of(style: Path | Prompt) -> StyleSpec:
    """One style alone."""
    return StyleSpec(_part_name(style), ((part_of(style), 1.0),))


def part_of(style: Path | Prompt) -> Path | Prompt:
    """A phrase, where a ready style is one. Raises InputError."""
    phrase = ready.phrase_of(style) if isinstance(style, Path) else None
    return style if phrase is None else Prompt(*phrase)


def _part_name(part: Path | Prompt) -> str:
    return part.stem if isinstance(part, Path) else prompt_name(part.text)


def parse_regions(texts: Sequence[str], feather: float = 0.0) -> StyleSpec:
    """Read ``sky.png:starry.jpg rest:ukiyo-e``: where masks overlap, the later one is seen; ``rest`` lies under all.

    Raises UsageError in one line.
    """
    layers: list[tuple[Masks | None, StyleSpec]] = []
    for text in texts:
        mask, style = read_region(text)
        masks = None if mask == REST else Masks(Path(mask), feather=feather)
        if masks is not None:
            masks.check()
        elif any(other is None for other, _ in layers):
            raise UsageError(f"--region {text}: there are two for the rest")
        layers.append((masks, spec_of(style)))
    name = "-".join(dict.fromkeys(spec.name for _, spec in layers))
    layers.sort(key=lambda layer: layer[0] is not None)
    return StyleSpec(name, (), tuple(layers))


def _images(given: Path) -> list[Path]:
    """The style images that ``--style`` means: one, or all of a folder or of a pattern in quotes."""
    from stylecli.media import find_images

    if is_remote(given):
        from stylecli.run.remote_inputs import fetched, find_remote

        there = find_remote([str(given)], recursive=False)
        if not there.images:
            raise UsageError(f"--style {there.problems[0]}")
        return [fetched(one.path) for one in there.images]
    if is_file(given):
        return [given]
    if str(given).startswith(ready.SIGN) and not exists(given):
        return ready.find_all() if str(given) == ready.ALL else [ready.find(str(given))]
    found = find_images([str(given)], recursive=False)
    if not found.images:
        reason = "does not exist" if not is_folder(given) else "is a folder without images"
        raise UsageError(f"--style {given} {reason}")
    return [one.path for one in found.images]


def _paths(spec: StyleSpec) -> str:
    return " + ".join(map(str, spec.files))
