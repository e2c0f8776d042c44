"""What of a phrase names something: its words, and the labels that each of them stands for."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Container, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_MOST_WORDS, _LONGEST = 16, 5  # of a phrase that are read, of a window
_STOP_TEXT = """
    a an the of in on at by to and or with from for as like if is it its this that my me very some much more less style
    styles manner painting paintings picture pictures painted paint drawn look looks looking image artwork art work
    made make turned into had has have school something somewhat way kind inspired half
    , ; : + / &
"""
_STOP = frozenset(_STOP_TEXT.split())
# From which likeness on a window names a label. Titles' words and artists' names are often near to one another.
_LEAST = {"artist": 0.74, "movement": 0.64, "medium": 0.68, "kind": 0.74, "word": 0.78, "look": 0.66}
_NEAR = 0.08  # labels as near as this to the best of a window are meant too
_PART, _TYPO = 0.95, 0.85  # likeness of an artist's surname alone, and of one with a letter wrong


@dataclass(frozen=True)
class Spot:
    """Words of a phrase, and the labels that they stand for, with their likeness (0..1)."""

    text: str
    labels: tuple[tuple[int, float], ...]


def words_of(phrase: str) -> list[str]:
    """In lower case, without accents; and signs between them that part what is named."""
    plain = unicodedata.normalize("NFKD", phrase).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z0-9]+(?:['.-][a-z0-9]+)*|[,;:+/&]", plain)[:_MOST_WORDS]


def windows_of(words: Sequence[str], names: Container[str]) -> list[tuple[int, int]]:
    """Places (first, behind the last) of all that may name something: no window has a word that names nothing, but for
    those that are a label, such as pop art, and pen and ink."""
    return [
        (i, j)
        for i in range(len(words))
        for j in range(i + 1, min(i + _LONGEST, len(words)) + 1)
        if not _STOP.intersection(words[i:j]) or " ".join(words[i:j]) in names
    ]


def spots(
    words: Sequence[str],
    windows: Sequence[tuple[int, int]],
    likeness: Tensor,
    kinds: Sequence[str],
    names: Sequence[str],
) -> list[Spot]:
    """What a phrase names, the surest first; no word names two things, but looks come besides.

    Args:
        likeness: (windows, labels) of their embeddings. kinds, names: of the labels.
    """
    texts = [" ".join(words[i:j]) for i, j in windows]
    sure = likeness.clone()
    _by_letters(sure, texts, kinds, names)
    least = sure.new_tensor([_LEAST[kind] for kind in kinds])
    looks = torch.tensor([kind == "look" for kind in kinds])
    fitting = torch.where(sure >= least, sure, 0)
    found: list[Spot] = []
    surely: set[int] = (
        set()
    )  # words that are a style's own name: they ask for looks only if they are that word, too
    for chosen in (fitting * ~looks, fitting * looks):
        taken: set[int] = set()
        best = chosen.amax(1) if len(kinds) else chosen.new_zeros(len(windows))
        length = torch.tensor([j - i for i, j in windows])
        for place in (best * (1 + 0.05 * (length - 1))).argsort(descending=True).tolist():
            own = set(range(*windows[place]))
            if not best[place] > 0 or own & taken or (own <= surely and best[place] < _PART):
                continue
            taken |= own
            kind = kinds[int(chosen[place].argmax())]
            if kind not in ("word", "look") and best[place] >= _PART:
                surely |= own
            meant = (chosen[place] >= (best[place] - _NEAR).clamp(min=1e-6)).nonzero().flatten().tolist()
            found.append(Spot(texts[place], tuple((n, float(chosen[place, n])) for n in meant)))
    return found


def _by_letters(sure: Tensor, texts: Sequence[str], kinds: Sequence[str], names: Sequence[str]) -> None:
    """Raise the likeness of labels that a window spells: all of it, an artist's surname, or one with a slip."""
    surnames: dict[str, list[int]] = {}
    for number, (kind, name) in enumerate(zip(kinds, names, strict=True)):
        if kind == "artist":
            surnames.setdefault(name.split()[-1], []).append(number)
    spelled = {name: [n for n, other in enumerate(names) if other == name] for name in {*texts} & {*names}}
    every = {word for name in names for word in name.split()}
    for place, text in enumerate(texts):
        for number in spelled.get(text, ()):
            sure[place, number] = 1.0
        *others, last = text.split()
        for number in () if text in spelled else surnames.get(last, ()):
            if all(word in names[number].split() for word in others):
                sure[place, number] = max(float(sure[place, number]), _PART)
        if others or last in every or len(last) < 5:
            continue
        for near in difflib.get_close_matches(last, surnames, 1, 0.86):
            for number in surnames[near]:
                sure[place, number] = max(float(sure[place, number]), _TYPO)
