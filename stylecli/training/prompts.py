"""Prompts and the artworks that they stand for, from a folder of pictures with a ``manifest.csv``.

The manifest's columns: file, kind (content, style or texture), artist, movement, medium, title, caption. Every
artist, movement, medium and frequent word of a title is a label with some ways of saying it; the artworks that carry
the label are what the prompt looks like.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylecli.errors import InputError

Row = dict[str, str]

# Prompts that change nothing: what a painting is guided away from.
PHOTOGRAPHS = ("a photo", "a photograph", "photo", "a picture taken with a camera", "a realistic photo")

# The classes of the development data that are told apart in `stylize bench text`, by column. Every fourth file of
# each (by name) is kept out of all training of the text-guided networks.
PROBE_CLASSES = {
    "artist": (
        "Vincent van Gogh", "Claude Monet", "Andy Warhol", "Rembrandt", "Paul Gauguin", "Piet Mondrian",
        "Egon Schiele", "Marc Chagall", "Jackson Pollock", "Joan Miro", "Mark Rothko", "Roy Lichtenstein",
    ),
    "movement": ("ukiyo-e", "cubism", "pointillism", "rococo"),
    "medium": (
        "line sketch", "cartoon", "rock", "bubbly", "crystalline", "woven carpet", "mosaic tiles", "wood",
    ),
}  # fmt: skip

_SAYINGS = {
    "artist": ("{} style", "in the style of {}", "a {} painting", "a painting by {}", "{}", "painted by {}"),
    "movement": ("{}", "{} style", "{} painting", "a {} picture", "in the style of {}"),
    "medium": ("{}", "a {} texture", "{} style", "made of {}", "a picture made of {}"),
    "title": ("{}", "a painting of {}", "{} painting"),
}
_COMMON_TEXT = """
    the and with from for under near over his her its les des del not detail study untitled composition painting also
    known self portrait
"""
COMMON_WORDS = frozenset(_COMMON_TEXT.split())  # words of titles that say nothing of the picture
_RARE = 8  # a word of a title becomes a label when as many artworks have it


@dataclass(frozen=True)
class Label:
    """Something that a prompt can ask for: ways to say it, and indices of the artworks that show it."""

    column: str
    name: str
    sayings: tuple[str, ...]
    members: tuple[int, ...]


def read_manifest(folder: Path) -> list[Row]:
    """Rows of ``folder/manifest.csv`` whose files exist. Raises InputError, one line, where it cannot be read."""
    path = folder / "manifest.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if (folder / row["file"]).is_file()]
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a manifest of captioned pictures ({error})") from None
    if not rows:
        raise InputError(f"{path}: names no picture that exists")
    return rows


def probe_members(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Artworks of every class of PROBE_CLASSES, sorted by file name."""
    ordered = sorted(rows, key=lambda row: row["file"])
    return {
        name: [row for row in ordered if row["kind"] != "content" and row[column] == name]
        for column, names in PROBE_CLASSES.items()
        for name in names
    }


def held_out(rows: Iterable[Row]) -> set[str]:
    """Files that nothing is trained on: every fourth of each probe class."""
    return {row["file"] for members in probe_members(rows).values() for row in members[3::4]}


class Prompts:
    """Labels of the artworks in a manifest, and how to draw them."""

    def __init__(self, folder: Path):
        rows = read_manifest(folder)
        kept_out = held_out(rows)
        artworks = [row for row in rows if row["kind"] != "content" and row["file"] not in kept_out]
        self.paths = [folder / row["file"] for row in artworks]
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        words: Counter[str] = Counter()
        for row in artworks:
            words.update(_words(row["title"]))
        for i, row in enumerate(artworks):
            for column in ("artist", "movement", "medium"):
                if row[column]:
                    found[column, row[column]].append(i)
            for word in _words(row["title"]):
                if words[word] >= _RARE:
                    found["title", word].append(i)
            found["caption", row["caption"]].append(i)
        self.labels = [
            Label(column, name, _sayings(column, name), tuple(members))
            for (column, name), members in sorted(found.items())
        ]
        # Between one draw per label and one per artwork.
        weights = np.array([len(label.members) ** 0.7 for label in self.labels])
        self.shares = weights / weights.sum()

    def sayings(self) -> list[str]:
        """Every prompt there is, without repetitions, prompts that change nothing first."""
        return list(dict.fromkeys([*PHOTOGRAPHS, *(s for label in self.labels for s in label.sayings)]))

    def draw(self, rng: np.random.Generator, artworks: int) -> tuple[str, list[int]]:
        """A prompt, and up to ``artworks`` different pictures that it stands for."""
        label = self.labels[int(rng.choice(len(self.labels), p=self.shares))]
        count = min(artworks, len(label.members))
        members = [int(i) for i in rng.choice(label.members, count, replace=False)]
        return label.sayings[int(rng.integers(len(label.sayings)))], members


def _words(title: str) -> set[str]:
    return {w for w in re.findall(r"[a-z]{3,}", title.lower()) if w not in COMMON_WORDS}


def _sayings(column: str, name: str) -> tuple[str, ...]:
    return tuple(saying.format(name) for saying in _SAYINGS.get(column, ("{}",)))
