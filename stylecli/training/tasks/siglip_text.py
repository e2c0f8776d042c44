"""First training of the text-image encoder: the text tower learns to place phrases where a sentence encoder does."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from tokenizers import trainers
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.files.atomic import atomic_path
from stylecli.models.siglip import Siglip, SiglipConfig
from stylecli.models.siglip.char_ngrams import fit_char_ngrams
from stylecli.models.siglip.model import EIGHT_BITS
from stylecli.models.siglip.text import PAD, START, UNKNOWN, bare_tokenizer
from stylecli.training.checkpoint import write_tensors
from stylecli.training.minilm import MiniLm
from stylecli.training.parallel import Worker
from stylecli.training.phrases import phrases, read_manifest
from stylecli.training.recipe import Recipe
from stylecli.training.tasks.task import Release, TrainingTask

HELD_OUT = 50  # every so-many-th phrase is kept out of the training, to measure on
# Share of the held-out phrases that count as familiar. A good part of them are rare words; of prompts that ask for a
# style, more do.
PASS = 0.955
BLOCK = 32  # batches whose phrases are sorted by length together


@dataclass(frozen=True)
class Data:
    """Folders of the sentence encoder (all-MiniLM-L6-v2 as published) and of pictures with a ``manifest.csv``; how
    many phrases are made, and of how many entries the vocabulary is."""

    teacher: str
    captioned: str
    phrases: int = 150_000
    entries: int = 8_000


@dataclass(frozen=True)
class Losses:
    """Weights: 1 - cosine to the teacher's embedding, and the batch's matrix of similarities (as in relational
    distillation, arXiv 1904.05068): what matters is which phrases are close to which."""

    cosine: float = 1.0
    relation: float = 5.0


@dataclass(frozen=True)
class Settings:
    data: Data
    losses: Losses = field(default_factory=Losses)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": SiglipConfig})


class SiglipTextTask(TrainingTask):
    settings = Settings
    shares_batch = False  # its phrases are compared with one another

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        data: Data = self.own.data
        self.teacher = MiniLm(recipe.path(data.teacher), str(worker.device))
        labels = read_manifest(recipe.path(data.captioned))
        texts = phrases(recipe.seed, data.phrases, labels, self.teacher.words())
        targets = teacher_embeddings(out / "teacher.safetensors", self.teacher, texts)
        keep = torch.arange(len(texts)) % HELD_OUT != 0
        self.texts = [t for t, k in zip(texts, keep.tolist(), strict=True) if k]
        self.held_out = texts[::HELD_OUT]
        self.targets, self.held_out_targets = targets[keep], targets[~keep].float()
        # Kept, because the tokenizers library breaks ties at random: learned again, it would not be the same.
        kept = out / "vocabulary.txt"
        if not kept.exists():
            learned = " ".join(learn_vocabulary(self.texts, data.entries))
            with atomic_path(kept) as part:
                part.write_text(learned, encoding="utf-8")
        self.vocabulary = kept.read_text(encoding="utf-8").split(" ")
        config = replace(SiglipConfig(), **self.own.network)
        config = replace(config, vocabulary=" ".join(self.vocabulary), width=self.teacher.width)
        self.model = Siglip(config).to(worker.device)
        self.text = self.module = self.model.text
        self.rows = self.text.tokenize(self.texts)
        self._order: tuple[int, list[list[int]]] = (-1, [])

    @torch.no_grad()
    def begin(self) -> None:
        """As a bag of words: each token at the teacher's embedding of it, in the directions in which phrases differ
        most, which the last map leads back out of. Own decision; it saves most of the training."""
        text = self.text
        width = min(text.embedding.embedding_dim, self.teacher.width)
        sample = self.targets[:20_000].float()
        basis = torch.linalg.eigh(sample.T @ sample).eigenvectors[:, -width:]  # (C, width), orthonormal
        found = self.teacher.encode([word.removeprefix("##") for word in self.vocabulary]) @ basis
        found[:3] = 0  # what stands for no word says nothing
        text.embedding.weight[:, :width] = found * width**0.5 * 0.5  # about as large as what the layers add
        text.project.weight[:, :width] = basis
        nn.init.normal_(text.position, std=0.02)
        for name, parameter in text.layers.named_parameters():
            if ".out." in name or ".down." in name:  # what the layers add begins small
                nn.init.normal_(parameter, std=0.02 if name.endswith("weight") else 0.0)

    def terms(self, chosen: list[int], step: int) -> dict[str, Tensor]:
        found = self.text.embed([self.rows[i] for i in chosen])
        wanted = F.normalize(self.targets[chosen].to(found), dim=1)
        return {
            "cosine": 1 - (found * wanted).sum(1).mean(),
            "relation": (found @ found.T - wanted @ wanted.T).square().mean(),
        }

    def batch(self, step: int) -> list[int]:
        """Phrases of about one length; every epoch in another order."""
        size = min(self.recipe.batch, len(self.rows))
        epoch, place = divmod(step, len(self.rows) // size)
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
            order = torch.randperm(len(self.rows), generator=generator)
            batches: list[list[int]] = []
            for block in order.split(BLOCK * size):
                ordered = sorted(block.tolist(), key=lambda i: len(self.rows[i]))
                batches += [ordered[i : i + size] for i in range(0, len(ordered), size)]
            shuffled = torch.randperm(len(batches), generator=generator).tolist()
            self._order = (epoch, [batches[i] for i in shuffled])
        return self._order[1][place]

    def releases(self, averaged: nn.Module) -> list[Release]:
        """The model with its in-domain score set; the mean cosine to the teacher over the held-out phrases."""
        model = copy.deepcopy(self.model).eval()
        model.text.load_state_dict(averaged.state_dict())
        # Kept in half precision in the released file: what follows must be true of what is released.
        model.half().float()
        sample = self.texts[:: max(1, len(self.texts) // 30_000)]
        centres = spherical_means(_encode(model, sample), model.config.centres).half().float()
        letters = fit_char_ngrams(self.texts).half().float()
        model.set_domain(centres, letters, 0.0)
        threshold = float(model.in_domain_score(self.held_out).quantile(1 - PASS))
        model.set_domain(centres, letters, threshold)
        cosine = (_encode(model, self.held_out) * self.held_out_targets).sum(1).mean()
        measured = {"phrases": len(self.texts), "held_out_cosine": round(float(cosine), 4)}
        return [Release(model.state_dict(), model.config.to_json(), EIGHT_BITS, measured)]


def _encode(model: Siglip, texts: list[str]) -> Tensor:
    """(N, width), in batches of phrases of similar length."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result = torch.empty(len(texts), model.config.width)
    for i in range(0, len(order), 512):
        chosen = order[i : i + 512]
        result[chosen] = model.encode_text([texts[j] for j in chosen]).cpu()
    return result


def teacher_embeddings(path: Path, teacher: MiniLm, texts: list[str], chunk: int = 10_000) -> Tensor:
    """(N, width) in float16, kept in ``path``; what an interrupted call has computed is not computed again."""
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    done = torch.empty(0, teacher.width, dtype=torch.float16)
    if path.exists():
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("phrases") == digest:
                done = file.get_tensor("embeddings")
    bar = tqdm(total=len(texts), initial=len(done), desc="teacher", mininterval=10)
    while len(done) < len(texts):
        new = teacher.encode(texts[len(done) : len(done) + chunk]).half()
        done = torch.cat([done, new])
        write_tensors(path, {"embeddings": done}, {"phrases": digest})
        bar.update(len(new))
    bar.close()
    return done


def learn_vocabulary(texts: list[str], entries: int) -> list[str]:
    """At most ``entries`` words and pieces of words that spell the phrases."""
    specials = [PAD, UNKNOWN, START]
    tokenizer = bare_tokenizer(specials)
    trainer = trainers.WordPieceTrainer(
        vocab_size=entries, special_tokens=specials, show_progress=False, continuing_subword_prefix="##"
    )
    tokenizer.train_from_iterator(texts, trainer)
    return [word for word, _ in sorted(tokenizer.get_vocab().items(), key=lambda e: e[1])]


def spherical_means(points: Tensor, count: int, rounds: int = 15) -> Tensor:
    """(N, C) of unit length -> (count, C) of unit length: k-means by cosine, begun at evenly drawn points."""
    centres = points[torch.linspace(0, len(points) - 1, count).long()].clone()
    for _ in range(rounds):
        nearest = (points @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        full = sums.norm(dim=1) > 0  # a centre that nothing is near stays where it is
        centres[full] = F.normalize(sums[full], dim=1)
    return centres
