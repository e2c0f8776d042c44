"""Making of the style prior (:mod:`stylecli.models.style_prior`) from captioned artworks; nothing in it is trained.

    python -m stylecli.training.style_prior DATA OUTPUT [KNOWN]

DATA: the folder of the artworks' ``manifest.csv``. KNOWN: a file of what is known of them
(:mod:`stylecli.training.artworks`), made where it is missing. Artworks that are held out are not in the prior.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from tqdm import tqdm

from stylecli.models.registry import load_network
from stylecli.models.siglip import Siglip, load_siglip
from stylecli.models.style_prior.config import StylePriorConfig
from stylecli.models.style_prior.model import StylePrior, witness_picture
from stylecli.models.style_prior.phrase import words_of
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.training import looks
from stylecli.training.artworks import known_artworks
from stylecli.training.checkpoint import save_release
from stylecli.training.data import StyleImages
from stylecli.training.phrases import Labels, read_manifest
from stylecli.training.prompts import COMMON_WORDS, held_out
from stylecli.training.prompts import read_manifest as read_rows
from stylecli.training.recipe import Recipe
from stylecli.weights import locate

EIGHT_BITS = ("components", "labels", "reading", "looks", "wanted", "space.basis")
KINDS = Path(__file__).with_name("kinds.toml")
_RARE = 2  # artworks that a word of titles has to be of
_MEMBERS = 10  # labels of an artwork
_SIDE = 192  # at which looks are measured
_LEFT_OUT = frozenset({"adolf hitler"})  # nobody should be told that a picture leans on him
_NO_MEDIA = frozenset({"painting"})  # says nothing


@dataclass
class _Book:
    """Labels while they are gathered: ``kind, name``; the label that artworks carry for it; looks that it asks for."""

    labels: list[tuple[str, str]] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)
    wanted: list[Tensor] = field(default_factory=list)

    def number(self, kind: str, name: str, looked: Tensor | None = None, carried: int | None = None) -> int:
        """Of a label, which is added where it is new."""
        if (kind, name) not in self._known:
            self._known[kind, name] = len(self.labels)
            self.labels.append((kind, name))
            self.carried.append(len(self.carried) if carried is None else carried)
            self.wanted.append(torch.zeros(len(looks.AXES)) if looked is None else looked)
        return self._known[kind, name]

    _known: dict[tuple[str, str], int] = field(default_factory=dict)


def make_prior(
    labels: Sequence[Labels],
    vectors: Tensor,
    looked: Tensor,
    siglip: Siglip,
    witness: Tensor,
    components: int = StylePriorConfig.components,
    read: int = StylePriorConfig.read,
) -> StylePrior:
    """Of artworks with these labels, style vectors (N, S) and measures (N, A); ``witness`` (S,) as in
    :class:`StylePrior`."""
    book, members = _labelled(labels)
    embedded = torch.cat(
        [
            siglip.encode_text([n for _, n in book.labels[i : i + 256]])
            for i in range(0, len(book.labels), 256)
        ]
    )
    read = min(read, *embedded.shape)
    config = StylePriorConfig(
        style=vectors.shape[1],
        components=min(components, len(vectors) - 1),
        embedding=embedded.shape[1],
        read=read,
        artworks=len(vectors),
        labels=len(book.labels),
        members=members.shape[1],
        axes=looked.shape[1],
        names="\n".join("\t".join(label) for label in book.labels),
    )
    prior = StylePrior(config)
    prior.space.fit(vectors)
    own = prior.space(vectors.float())
    standard = (looked - looked.mean(0)) / looked.std(0).clamp(min=1e-6)
    standard = standard.clamp(-3, 3)
    directions = torch.linalg.eigh(embedded.T @ embedded)[1][:, -read:].flip(1).T  # (D, E)
    values = {
        "components": own,
        "members": members,
        "carried": torch.tensor(book.carried, dtype=torch.int16),
        "labels": embedded @ directions.T,
        "reading": directions,
        "looks": standard,
        "wanted": torch.stack(book.wanted),
        "witness": witness,
        "slopes": own.T @ standard / (len(own) + 0.05 * len(own)),
    }
    for name, value in values.items():
        getattr(prior, name).copy_(value)
    return prior


def _labelled(labels: Sequence[Labels]) -> tuple[_Book, Tensor]:
    """All labels, and the numbers (N, M) of those of each artwork."""
    book = _Book()
    people = {word for label in labels for word in words_of(label.artist)}
    titles = [_title_words(label.title) - people for label in labels]
    often = Counter(word for title in titles for word in title)
    table = tomllib.loads(KINDS.read_text(encoding="utf-8"))
    kinds: list[dict[str, Any]] = table["kind"]
    for known in table["artist"]:
        book.number("artist", known["name"], looks.row(known["looks"]))
    rows = []
    for label, title in zip(labels, titles, strict=True):
        artist, movement, medium = (
            " ".join(words_of(x)) for x in (label.artist, label.movement, label.medium)
        )
        own = [(k, n) for k, n in (("artist", artist), ("movement", movement), ("medium", medium)) if n]
        numbers = [book.number(*pair) for pair in own if pair[1] not in _NO_MEDIA]
        for kind in kinds:
            if (
                artist in _plain(kind, "artists")
                or movement in _plain(kind, "movements")
                or medium in _plain(kind, "media")
                or title & set(_plain(kind, "words"))
            ):
                numbers.append(book.number("kind", kind["says"][0], looks.row(kind.get("looks", {}))))
        numbers += [
            book.number("word", word) for word in sorted(title, key=often.__getitem__) if often[word] >= _RARE
        ]
        rows.append(numbers[:_MEMBERS])
    for kind in kinds:
        looked = looks.row(kind.get("looks", {}))
        first = book.number("kind", kind["says"][0], looked)
        for says in kind["says"][1:]:
            book.number("kind", says, looked, first)
    for word, asked in looks.words().items():
        book.number("look", word, looks.row(asked))
    members = torch.full((len(rows), max(map(len, rows), default=1) or 1), -1, dtype=torch.int16)
    for row, numbers in zip(members, rows, strict=True):
        row[: len(numbers)] = torch.tensor(numbers, dtype=torch.int16)
    return book, members


def _plain(kind: dict[str, Any], key: str) -> list[str]:
    return [" ".join(words_of(name)) for name in kind.get(key, ())]


def _title_words(title: str) -> set[str]:
    return {word for word in words_of(title) if len(word) > 2 and word.isalpha() and word not in COMMON_WORDS}


def measured(paths: Sequence[Path]) -> Tensor:
    """Measures (N, A) of artworks."""
    images = StyleImages(list(paths), _SIDE)
    cpu = torch.device("cpu")
    numbers = tqdm(range(len(paths)), desc="looks", mininterval=10, leave=False)
    return torch.stack([looks.measure(images.stack([n], cpu, keep=False)[0]) for n in numbers])


def main(arguments: Sequence[str]) -> None:
    """Make the prior of a folder and write its weights file."""
    folder, output = Path(arguments[0]), Path(arguments[1])
    known = Path(arguments[2]) if len(arguments) > 2 else output.with_name("artworks.safetensors")
    left_out = held_out(read_rows(folder))
    labels = {label.file: label for label in read_manifest(folder)}
    chosen = [
        label
        for label in labels.values()
        if label.kind != "content"
        and label.file not in left_out
        and " ".join(words_of(label.artist)) not in _LEFT_OUT
        and (folder / label.file).is_file()
    ]
    paths = [folder / label.file for label in chosen]
    recipe = Recipe("style-prior", 1, 1)
    artworks = known_artworks(known, paths, recipe, "stylerwkv-s", "siglip-s", torch.device("cpu"))
    reader = cast(StyleRwkv, load_network(locate("stylerwkv-s"), "style-rwkv"))
    looked, siglip = measured(paths), load_siglip(locate("siglip-s"))
    with torch.no_grad():
        witness = reader.encode_style(witness_picture())[0]
        prior = make_prior(chosen, artworks.vectors, looked, siglip, witness)
    save_release(output, prior.state_dict(), prior.config.to_json(), {"artworks": len(chosen)}, EIGHT_BITS)


if __name__ == "__main__":
    main(sys.argv[1:])
