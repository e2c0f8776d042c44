"""Looks: what a picture is painted with (style images or phrases, one or several mixed), and its name in files."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylecli.errors import UsageError
from stylecli.files.cache import digest_of
from stylecli.run.places import is_file, is_folder

Part = tuple[Path, float]
_WEIGHT = re.compile(r"(?P<path>.+):(?P<weight>[^:,]*)", re.DOTALL)
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Prompt:
    """A phrase to paint after."""

    text: str


@dataclass(frozen=True)
class Look:
    """Style images or phrases with their shares (which sum to 1), under the name that goes into output files."""

    name: str
    parts: tuple[tuple[Path | Prompt, float], ...]

    @property
    def files(self) -> list[Path]:
        """The style images among the parts."""
        return [part for part, _ in self.parts if isinstance(part, Path)]

    def fingerprint(self) -> str:
        """Of the bytes of its images, its phrases and their shares. Raises UsageError for an unreadable file."""
        digest = hashlib.sha256()
        for part, share in self.parts:
            try:
                what = digest_of(part) if isinstance(part, Path) else part.text
            except OSError as error:
                raise UsageError(f"style image {part}: cannot be read: {error.strerror or error}") from None
            digest.update(f"{what}\n{share!r}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]


def collect_looks(styles: Sequence[Path], blends: Sequence[str]) -> list[Look]:
    """Make the looks of ``--style`` (one each) and ``--blend`` (one each), in that order.

    A folder means each of its images. A style that is named twice counts once. Raises UsageError when there is none,
    when a file does not exist, or when two of them would give the same name to their outputs.
    """
    looks = [Look(path.stem, ((path, 1.0),)) for given in styles for path in _images(given)]
    looks += [parse_blend(text) for text in blends]
    looks = list(dict.fromkeys(looks))
    if not looks:
        raise UsageError(
            "no style given: add --style IMAGE (repeatable), --prompt TEXT or --blend a.jpg:0.7,b.jpg:0.3"
        )
    named: dict[str, Look] = {}
    for look in looks:
        other = named.setdefault(look.name.casefold(), look)
        if other is not look:
            raise UsageError(
                f"styles {_paths(other)} and {_paths(look)} would both be called '{look.name}' in the names "
                "of the outputs: rename one, or run them one after the other into different -o folders"
            )
    return looks


def collect_prompts(prompts: Sequence[str], blends: Sequence[str]) -> list[Look]:
    """Make the looks of prompts (one each) and of blends such as ``Claude Monet:0.6,ukiyo-e:0.4`` (one each).

    Raises UsageError for an empty one, or when there is none.
    """
    looks = [Look(prompt_name(text), ((Prompt(text), 1.0),)) for text in map(_said, prompts)]
    looks = list(dict.fromkeys([*looks, *map(parse_prompt_blend, blends)]))
    if not looks:
        raise UsageError('no prompt given: say what to paint like, as in "Paul Gauguin style"')
    names = [look.name.casefold() for look in looks]
    # Phrases that differ in nothing a file name keeps get names that tell them apart.
    return [
        look if names.count(look.name.casefold()) == 1 else Look(_with_digest(look), look.parts)
        for look in looks
    ]


def parse_prompt_blend(text: str) -> Look:
    """Read ``Claude Monet:0.6,ukiyo-e:0.4``; a missing weight counts as 1, and weights are normalised to sum 1.

    Raises UsageError in one line for an empty phrase or weights that are all 0.
    """
    parts = []
    for entry in text.split(","):
        phrase, colon, weight = entry.rpartition(":")
        number = _number(weight) if colon else None
        parts.append((Prompt(_said(entry)), 1.0) if number is None else (Prompt(_said(phrase)), number))
    shares = tuple(
        zip((prompt for prompt, _ in parts), _shares(text, [weight for _, weight in parts]), strict=True)
    )
    return Look("-".join(f"{prompt_name(p.text)}{round(100 * share)}" for p, share in shares), shares)


def prompt_name(text: str) -> str:
    """A phrase as part of a file name: "Paul Gauguin style" becomes paul-gauguin-style.

    Where little is left of it (an emoji, another script) or it is long, a digest of the phrase follows."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(name) >= 2 and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME].strip('-') or 'prompt'}-{_digest(text)}"


def _with_digest(look: Look) -> str:
    return f"{look.name}-{_digest(repr(look.parts))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def _said(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise UsageError('the prompt is empty: say what to paint like, as in "Paul Gauguin style"')
    return text


def parse_blend(text: str) -> Look:
    """Read ``a.jpg:0.7,b.jpg:0.3``; a missing weight counts as 1, and weights are normalised to sum 1.

    Colons and commas may also belong to the names: of all ways to read ``text``, the first in which every
    name is an existing file is taken, longer names first. Raises UsageError in one line otherwise.
    """
    pieces = text.split(",")
    parts = next(_readings(pieces), None)
    if parts is None:
        raise UsageError(_explain(text))
    shares = tuple(
        zip((path for path, _ in parts), _shares(text, [weight for _, weight in parts]), strict=True)
    )
    return Look("-".join(f"{path.stem}{round(100 * share)}" for path, share in shares), shares)


def _shares(text: str, weights: Sequence[float]) -> list[float]:
    """Weights that sum to 1. By way of the largest: two of 1e308 have no sum."""
    largest = max(weights)
    if not largest > 0:
        raise UsageError(f"--blend {text}: at least one weight must be above 0")
    total = math.fsum(weight / largest for weight in weights)
    return [weight / largest / total for weight in weights]


def _readings(pieces: Sequence[str]) -> Iterator[list[Part]]:
    """Every way to join ``pieces`` back into entries that all exist, longest first entry first."""
    if not pieces:
        yield []
        return
    for length in range(len(pieces), 0, -1):
        entry = _entry(",".join(pieces[:length]))
        if entry is not None:
            for rest in _readings(pieces[length:]):
                yield [entry, *rest]


def _entry(text: str) -> Part | None:
    """``path`` or ``path:weight`` as a part, or None when it is neither with an existing file."""
    if is_file(text):
        return Path(text), 1.0
    match = _WEIGHT.fullmatch(text)
    if match is None or not is_file(match["path"]):
        return None
    weight = _number(match["weight"])
    return None if weight is None else (Path(match["path"]), weight)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _explain(text: str) -> str:
    """Name the first thing wrong with a blend that has no reading."""
    for entry in text.split(","):
        if _entry(entry) is not None:
            continue
        match = _WEIGHT.fullmatch(entry)
        if match is None:
            return f"--blend {text}: '{entry}' is not an existing style image (write a.jpg:0.7,b.jpg:0.3)"
        if not is_file(match["path"]):
            return f"--blend {text}: style image '{match['path']}' does not exist"
        return f"--blend {text}: the weight '{match['weight']}' is not a number of 0 or more"
    return f"--blend {text}: cannot be read (write a.jpg:0.7,b.jpg:0.3)"


def _images(given: Path) -> list[Path]:
    """The style images that ``--style`` means: one, or all of a folder or of a pattern in quotes."""
    from stylecli.media import find_images

    if is_file(given):
        return [given]
    found = find_images([str(given)], recursive=False)
    if not found.images:
        reason = "does not exist" if not is_folder(given) else "is a folder without images"
        raise UsageError(f"--style {given} {reason}")
    return [one.path for one in found.images]


def _paths(look: Look) -> str:
    return " + ".join(map(str, look.files))
