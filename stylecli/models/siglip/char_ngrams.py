"""A character n-gram model: how much a prompt is spelled like what the encoder was trained on.

Own decision. The text tower places a foreign or made-up word somewhere, and often near something; its letters tell.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

UNSEEN = -6.0  # log-probability of a letter after letters that it never followed
_ROW = 4
_LETTERS = "^abcdefghijklmnopqrstuvwxyz"  # ^ fills up a word at its beginning and ends it


def words(text: str) -> list[str]:
    """Words of any script in lower case, without accents, digits and signs."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return re.findall(r"[^\W\d_]+", plain)


def fit_char_ngrams(texts: Iterable[str]) -> Tensor:
    """(N, 3) of the rows of four letters in the texts, as half precision can hold them: the number of the row in two
    parts (number // 729, number % 729), and the log-probability of its last letter after the first three.

    A word counts with the logarithm of how often it occurs, so that the common ones do not say all.
    """
    rows: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for word, times in Counter(w for text in texts for w in words(text) if w.isascii()).items():
        for row in _rows(word):
            rows[row] += math.log1p(times)  # type: ignore[assignment]
            before[row[:-1]] += math.log1p(times)  # type: ignore[assignment]
    entries = []
    for row in sorted(rows):
        number = 0
        for letter in row:
            number = number * len(_LETTERS) + _LETTERS.index(letter)
        entries.append([*divmod(number, len(_LETTERS) ** 2), math.log(rows[row] / before[row[:-1]])])
    return torch.tensor(entries)


class CharNgramModel:
    """Reads what :func:`fit_char_ngrams` found; building it takes about 0.1 s."""

    def __init__(self, entries: Tensor):
        side = len(_LETTERS)
        self.table: dict[str, float] = {}
        for high, low, value in entries.tolist():
            number, row = int(high) * side**2 + int(low), ""
            for _ in range(_ROW):
                number, place = divmod(number, side)
                row = _LETTERS[place] + row
            self.table[row] = value

    def log_probability(self, text: str) -> float:
        """Mean over the letters of a text; ``UNSEEN`` where it has none."""
        values = [self.table.get(row, UNSEEN) for word in words(text) for row in _rows(word)]
        return sum(values) / len(values) if values else UNSEEN


def _rows(word: str) -> list[str]:
    padded = "^" * (_ROW - 1) + word + "^"
    return [padded[i : i + _ROW] for i in range(len(padded) - _ROW + 1)]
