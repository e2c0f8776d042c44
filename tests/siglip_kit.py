"""A sentence encoder of the right format with random numbers in it, and captioned pictures of a few colours."""

import csv
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from stylecli.models.siglip import SiglipConfig

WIDTH = 24
WORDS = [
    "the",
    "a",
    "red",
    "green",
    "blue",
    "sky",
    "stone",
    "painting",
    "style",
    "photo",
    "of",
    "in",
    "and",
    "style",
    "by",
    "texture",
    "water",
]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
COLOURS = {"red": (220, 40, 40), "green": (50, 160, 60), "blue": (50, 70, 200)}


def random_teacher(folder):
    """A BERT of two layers, as ``--teacher`` takes it. Its word embeddings say most, as in a trained one."""
    folder.mkdir(parents=True)
    letters = list("abcdefghijklmnopqrstuvwxyz") + [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {w: i for i, w in enumerate(dict.fromkeys([*SPECIALS, *WORDS, *letters]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=128)  # as published: not wanted here
    tokenizer.save(str(folder / "tokenizer.json"))
    generator = torch.Generator().manual_seed(0)

    def random(*shape, scale=0.1):
        return torch.randn(*shape, generator=generator) * scale

    w = {
        "embeddings.word_embeddings.weight": random(len(vocabulary), WIDTH, scale=1.0),
        "embeddings.position_embeddings.weight": random(128, WIDTH),
        "embeddings.token_type_embeddings.weight": random(2, WIDTH),
        "embeddings.position_ids": torch.arange(128)[None],
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        p = f"encoder.layer.{layer}."
        norms += [p + "attention.output.LayerNorm", p + "output.LayerNorm"]
        for name in ("attention.self.query", "attention.self.key", "attention.self.value"):
            w[p + name + ".weight"], w[p + name + ".bias"] = random(WIDTH, WIDTH, scale=0.3), random(WIDTH)
        w[p + "attention.output.dense.weight"] = random(WIDTH, WIDTH)
        w[p + "attention.output.dense.bias"] = random(WIDTH)
        w[p + "intermediate.dense.weight"], w[p + "intermediate.dense.bias"] = random(48, WIDTH), random(48)
        w[p + "output.dense.weight"], w[p + "output.dense.bias"] = random(WIDTH, 48), random(WIDTH)
    for name in norms:
        w[name + ".weight"], w[name + ".bias"] = 1 + random(WIDTH), random(WIDTH)
    save_file(w, folder / "model.safetensors")
    return folder


def captioned_pictures(folder, each=6):
    """Noisy pictures of three colours with ``manifest.csv``: the colour is the medium, texture the kind."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for name, colour in COLOURS.items():
        for i in range(each):
            noise = rng.normal(0, 25, (70, 60, 3)) + np.array(colour)
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / f"{name}{i}.png")
            rows.append([f"{name}{i}.png", "texture", "", "", name, "", f"{name} texture"])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["file", "kind", "artist", "movement", "medium", "title", "caption"], *rows]
        )
    return folder


def tiny_network(**changes):
    return replace(
        SiglipConfig(
            width=WIDTH,
            vocabulary=" ".join(["[PAD]", "[UNK]", "[START]", *dict.fromkeys(WORDS)]),
            tokens=16,
            text_width=12,
            text_layers=1,
            text_heads=2,
            image_widths=(8, 8, 8, 12),
            image_blocks=(1, 1, 1, 1),
            centres=8,
        ),
        **changes,
    )


def siglip_data(folder):
    """Everything that the text-image encoder is trained on, in ``folder``."""
    random_teacher(folder / "teacher")
    captioned_pictures(folder / "captioned")
    return folder


_COMMON = {
    "device": "cpu",
    "dtype": "fp32",
    "ema": 0.0,
    "save_every": 3,
    "release_every": 1000,
    "optimizer": {"lr": 3e-3, "betas": [0.9, 0.98], "warm_up": 5, "decay_from": 0.0, "weight_decay": 0.02},
}
TINY_TEXT = {
    "task": "siglip-text",
    "steps": 6,
    "batch": 32,
    "data": {"teacher": "teacher", "captioned": "captioned", "phrases": 600, "entries": 300},
    "network": {
        "tokens": 16,
        "text_width": 12,
        "text_layers": 1,
        "text_heads": 2,
        "image_widths": [8, 8, 8, 12],
        "image_blocks": [1, 1, 1, 1],
        "centres": 8,
    },
    **_COMMON,
}
TINY_IMAGE = {
    "task": "siglip-image",
    "steps": 6,
    "batch": 6,
    "data": {"captioned": "captioned", "crop": 56},
    **_COMMON,
}
