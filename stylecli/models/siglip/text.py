"""The text tower: prompts to points of the shared space."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn

from stylecli.models.siglip.config import SiglipConfig

PAD, UNKNOWN, START = "[PAD]", "[UNK]", "[START]"  # the first entries of every vocabulary
LONGEST = 2_000  # characters of a prompt that are read: more than ``tokens`` words


def bare_tokenizer(vocabulary: list[str]) -> Tokenizer:
    """WordPiece over lower-case words without accents; ``vocabulary`` in the order of its numbers."""
    table = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(table, unk_token=UNKNOWN, max_input_chars_per_word=40))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def readable(prompt: str) -> str:
    """What is read of a prompt. What UTF-8 cannot say (half of a surrogate pair, from a broken terminal) becomes a
    question mark."""
    return prompt[:LONGEST].encode("utf-8", "replace").decode()


class TextTower(nn.Module):
    """Pre-norm transformer over the tokens of a prompt, mean over them, one linear map into the shared space.

    Every prompt begins with a token of its own, so that an empty one has something to say too.
    """

    def __init__(self, config: SiglipConfig):
        super().__init__()
        self.tokens = config.tokens
        words = config.vocabulary.split(" ")
        self.tokenizer = bare_tokenizer(words)
        self.start = words.index(START)
        self.embedding = nn.Embedding(len(words), config.text_width)
        self.position = nn.Parameter(torch.zeros(config.tokens, config.text_width))
        self.layers = nn.ModuleList(
            _Layer(config.text_width, config.text_heads) for _ in range(config.text_layers)
        )
        self.norm = nn.LayerNorm(config.text_width)
        self.project = nn.Linear(config.text_width, config.width, bias=False)

    def tokenize(self, prompts: list[str]) -> list[list[int]]:
        """Numbers of at most ``tokens`` tokens per prompt, the first the same everywhere. Any text will do; what
        the vocabulary cannot spell becomes the token for the unknown."""
        encoded = self.tokenizer.encode_batch([readable(p) for p in prompts])
        return [[self.start, *e.ids][: self.tokens] for e in encoded]

    def forward(self, prompts: list[str]) -> Tensor:
        """(B, width), of unit length."""
        return self.embed(self.tokenize(prompts))

    def embed(self, rows: list[list[int]]) -> Tensor:
        """What :meth:`tokenize` gave -> (B, width), of unit length."""
        longest = max(map(len, rows), default=1)
        device = self.position.device
        padded = [r + [0] * (longest - len(r)) for r in rows]
        ids = torch.tensor(padded, dtype=torch.long, device=device).reshape(len(rows), longest)  # (B, T)
        lengths = torch.tensor([len(r) for r in rows], device=device)
        real = torch.arange(longest, device=device) < lengths[:, None]  # (B, T)
        mask = None if bool(real.all()) else real[:, None, None]
        x = self.embedding(ids) + self.position[:longest]  # (B, T, C)
        for layer in self.layers:
            x = layer(x, mask)
        mean = (self.norm(x) * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return F.normalize(self.project(mean), dim=1)


class _Layer(nn.Module):
    """One pre-norm transformer layer: (B, T, C) -> (B, T, C)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, mask)  # (B, heads, T, C / heads)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))
