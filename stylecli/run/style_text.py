"""How ``--blend`` and ``--region`` name styles: files, ready styles and phrases in one text, with weights or masks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylecli.errors import UsageError
from stylecli.files.remote import as_path, is_remote
from stylecli.run import ready
from stylecli.run.paths import exists, is_file

Part = tuple[Path, float]
REST = "rest"
"""Stands for what no mask covers."""
_WEIGHT = re.compile(r"(?P<path>.+):(?P<weight>[^:,]*)", re.DOTALL)
_LONGEST_PHRASE = 500


@dataclass(frozen=True)
class Prompt:
    """A phrase to paint after; ``take``: which of its styles, counted from 0 on top of the seed."""

    text: str
    take: int = 0


def clean_prompt(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise UsageError('the prompt is empty: say what to paint like, as in "Paul Gauguin style"')
    return text


def read_blend(text: str) -> list[tuple[Path | Prompt, float]]:
    """Read ``a.jpg:0.7,b.jpg:0.3``, ``a.jpg:0.5,ukiyo-e:0.5`` or ``Claude Monet:0.6,"water, lilies":0.4``; a missing
    weight counts as 1, and weights are normalised to sum 1.

    Colons and commas may also belong to the names of files: of all ways to read ``text``, the first in which every
    name is an existing file is taken, longer names first. Where there is none, what is no file is a phrase, unless it
    looks like the name of one. Raises UsageError in one line otherwise.
    """
    parts: Sequence[tuple[Path | Prompt, float]] | None = next(_readings(text.split(",")), None)
    if parts is None:
        parts = [_any_entry(entry, text) for entry in _entries(text)]
    weights = _shares(text, [weight for _, weight in parts])
    return [(part, share) for (part, _), share in zip(parts, weights, strict=True)]


def _entries(text: str) -> list[str]:
    """Parted at commas, but for those within double quotes."""
    return [entry.strip() for entry in re.findall(r'(?:"[^"]*"|[^,])+|(?<=,)(?=,)|(?<=,)$|^$', text)]


def _any_entry(entry: str, text: str) -> tuple[Path | Prompt, float]:
    """A file or a phrase with its weight."""
    found = _entry(entry)
    if found is not None:
        return found
    phrase, colon, weight = entry.rpartition(":")
    number = _number(weight) if colon else None
    said = entry if number is None else phrase
    bare = said.strip().removeprefix('"').removesuffix('"')
    if not bare.strip():
        raise UsageError(f"--blend {text}: '{entry}': the prompt is empty")
    if said == bare and _like_a_file(_WEIGHT.sub(r"\g<path>", entry)):
        raise UsageError(_explain(text))
    return Prompt(clean_prompt(bare)), 1.0 if number is None else number


def _like_a_file(text: str) -> bool:
    """Whether text that is no file's name looks like one."""
    from stylecli.media.formats import readable_suffixes

    return (
        len(text) > _LONGEST_PHRASE
        or "/" in text
        or text.startswith(ready.SIGN)
        or Path(text).suffix.lower() in readable_suffixes()
    )


def read_region(text: str) -> tuple[str, Path | Prompt]:
    """Mask and style; colons may also belong to their names."""
    readings = [(text[:at], text[at + 1 :]) for at, letter in enumerate(text) if letter == ":"]
    there = [(mask, style) for mask, style in readings if mask == REST or exists(mask) or "%" in mask]
    for mask, style in there:
        file = style_file(style)
        if file is not None:
            return mask, file
    for mask, style in there:
        return mask, read_style(style, f"--region {text}")
    for mask, style in readings:
        if is_file(style):
            raise UsageError(f"--region {text}: mask '{mask}' does not exist")
    raise UsageError(f"--region {text}: write MASK:STYLE, as in sky.png:starry.jpg, or rest:STYLE")


def read_style(text: str, option: str) -> Path | Prompt:
    """A style image or a ready style that is there; what names none is a phrase. Raises UsageError, which begins with
    ``option``, where it seems to name one."""
    file = style_file(text)
    if file is not None:
        return file
    if text.startswith(ready.SIGN):
        raise UsageError(f"{option}: no ready style is called {text}: 'stylize styles' lists them")
    if _like_a_file(text):
        raise UsageError(f"{option}: style image '{text}' does not exist")
    return Prompt(clean_prompt(text))


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
    whole = style_file(text)
    if whole is not None:
        return whole, 1.0
    match = _WEIGHT.fullmatch(text)
    weight = None if match is None else _number(match["weight"])
    path = None if match is None or weight is None else style_file(match["path"])
    return None if path is None or weight is None else (path, weight)


def style_file(text: str) -> Path | None:
    """The picture that ``text`` names: a file, or a ready style. None where it is neither."""
    if is_file(text):
        if not is_remote(text):
            return Path(text)
        from stylecli.run.remote_inputs import fetched

        return fetched(as_path(text))
    return ready.find(text) if ready.is_known(text) else None


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
        if entry.startswith(ready.SIGN):
            named = _WEIGHT.sub(r"\g<path>", entry)
            return f"--blend {text}: no ready style is called {named}: 'stylize styles' lists them"
        if match is None:
            return f"--blend {text}: '{entry}' is not an existing style image (write a.jpg:0.7,b.jpg:0.3)"
        if not is_file(match["path"]):
            return f"--blend {text}: style image '{match['path']}' does not exist"
        return f"--blend {text}: the weight '{match['weight']}' is not a number of 0 or more"
    return f"--blend {text}: cannot be read (write a.jpg:0.7,b.jpg:0.3)"
