"""What is known of every artwork: its style vector, and the embeddings of what can be said of it.

Computed once and kept in one file, because neither changes while StyleMamba learns: the networks that see the styles
and understand the phrases stay as they are. A machine that trains needs the file and not these networks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import InputError, UsageError
from stylecli.files.atomic import atomic_path
from stylecli.models.registry import load_network
from stylecli.models.siglip import Siglip, load_siglip
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.training.data import StyleImages
from stylecli.training.phrases import describe, read_manifest
from stylecli.training.recipe import Recipe

SIDE = 288
"""Of an artwork when its style is encoded, in pixels, as in use (``Descriptor.style_side``)."""
_TEXTS, _PICTURES = 256, 16  # encoded at a time
_CPU = torch.device("cpu")


@dataclass
class Artworks:
    """Attributes:
    vectors: (N, S) float16 styles, as StyleRWKV encodes them; in a file that is to be small: none.
    said: (N, K) int32, numbers of what can be said of each; -1 where there is no more.
    embeddings: (M, E) float16 of everything that can be said.
    """

    vectors: Tensor
    said: Tensor
    embeddings: Tensor

    @classmethod
    @torch.inference_mode()
    def of(cls, vectors: Tensor, sayings: Sequence[Sequence[str]], siglip: Siglip) -> Artworks:
        """Of artworks with these style vectors (N, S) and what can be said of each."""
        texts = list(dict.fromkeys(text for some in sayings for text in some))
        numbers = {text: number for number, text in enumerate(texts)}
        said = torch.full((len(sayings), max(map(len, sayings))), -1, dtype=torch.int32)
        for row, some in zip(said, sayings, strict=True):
            row[: len(some)] = torch.tensor([numbers[text] for text in some])
        parts = [siglip.encode_text(texts[i : i + _TEXTS]) for i in range(0, len(texts), _TEXTS)]
        return cls(vectors.half().clone(), said, torch.cat(parts).half().clone())

    def at(self, numbers: Sequence[int]) -> Artworks:
        """Some of them, in this order."""
        chosen = torch.tensor(numbers)
        vectors = self.vectors[chosen] if len(self.vectors) else self.vectors
        return Artworks(vectors, self.said[chosen], self.embeddings)


def name_of(path: Path) -> str:
    """An artwork's name in ``manifest.csv``, wherever its folder lies."""
    return f"{path.parent.name}/{path.name}"


def known_artworks(
    file: Path, paths: Sequence[Path], recipe: Recipe, reader: str, siglip: str, device: torch.device
) -> Artworks:
    """What ``file`` keeps of these artworks; where it keeps nothing of one, all are looked at and it is written.

    Args:
        reader, siglip: weights, as the recipe names them, of the StyleRWKV and of the text-image encoder that look.

    Raises InputError where something other than this is in ``file``, or where no ``manifest.csv`` is beside the
    artworks' folders.
    """

    def vectors() -> Tensor:
        encoder = load_network(recipe.weights(reader), "style-rwkv").to(device)
        return _vectors(cast(StyleRwkv, encoder), paths, device)

    if file.is_file():
        kept, names = _read(file)
        places = {name: number for number, name in enumerate(names)}
        found = [places.get(name_of(path), -1) for path in paths]
        if -1 not in found:
            kept = kept.at(found)
            return kept if len(kept.vectors) else replace(kept, vectors=vectors())
    made = Artworks.of(vectors(), sayings(paths), load_siglip(recipe.weights(siglip)))
    write(file, made, paths)
    return made


def write(file: Path, made: Artworks, paths: Sequence[Path]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f.name: getattr(made, f.name).contiguous() for f in fields(Artworks)}
    with atomic_path(file) as part:
        save_file(tensors, part, {"kind": "artworks", "files": json.dumps([name_of(p) for p in paths])})


def _read(file: Path) -> tuple[Artworks, list[str]]:
    try:
        with safe_open(file, "pt") as stored:
            names = json.loads((stored.metadata() or {})["files"])
            return Artworks(**{f.name: stored.get_tensor(f.name) for f in fields(Artworks)}), names
    except (OSError, SafetensorError, KeyError, ValueError):
        raise InputError(f"{file}: not what is known of artworks; take it away") from None


def sayings(paths: Sequence[Path]) -> list[list[str]]:
    """What can be said of artworks: what the ``manifest.csv`` beside their folders says, and what can be seen."""
    labels = {
        label.file: label
        for folder in dict.fromkeys(path.parent.parent for path in paths)
        for label in read_manifest(folder)
    }
    images, found = StyleImages(list(paths), 96), []
    for number, path in enumerate(tqdm(paths, desc="captions", mininterval=10, leave=False)):
        if name_of(path) not in labels:
            raise UsageError(f"{path}: manifest.csv says nothing of it")
        label = labels[name_of(path)]
        title = [label.title.lower()] if label.title else []
        found.append(
            list(
                dict.fromkeys(
                    [*label.captions(), *title, *describe(images.stack([number], _CPU, keep=False)[0])]
                )
            )
        )
    return found


@torch.inference_mode()
def _vectors(network: StyleRwkv, paths: Sequence[Path], device: torch.device) -> Tensor:
    images = StyleImages(list(paths), SIDE)
    starts = tqdm(range(0, len(paths), _PICTURES), desc="styles of the artworks", mininterval=10, leave=False)
    rows = []
    for start in starts:
        some = range(start, min(start + _PICTURES, len(paths)))
        rows.append(network.encode_style(images.stack(some, device, keep=False)).half().cpu())
    return torch.cat(rows)
