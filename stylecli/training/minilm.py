"""The teacher of the text tower: all-MiniLM-L6-v2, a sentence encoder of 22 M parameters, in plain torch.

Architecture: BERT (Devlin et al., arXiv 1810.04805), 6 post-norm layers of width 384 with 12 heads; the mean over the
tokens, normalised to unit length, is the embedding. Needed for training only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from stylecli.errors import WeightsError

HEADS = 12
TOKENS = 64  # prompts are short; what is longer is cut


class MiniLm:
    """``folder`` holds ``model.safetensors`` and ``tokenizer.json`` as published. Raises WeightsError."""

    def __init__(self, folder: Path, device: str = "cpu"):
        try:
            weights = load_file(folder / "model.safetensors", device)
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except (OSError, SafetensorError, Exception) as error:  # tokenizers raises bare Exceptions
            raise WeightsError(f"{folder}: no sentence encoder ({str(error).splitlines()[0]})") from None
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS)
        self.weights = {
            k.removeprefix("bert."): v.float() for k, v in weights.items() if v.is_floating_point()
        }
        self.device = device

    @property
    def width(self) -> int:
        return self.weights["embeddings.word_embeddings.weight"].shape[1]

    def words(self) -> list[str]:
        """Whole words of its vocabulary, the commonest first."""
        return [
            w
            for w, _ in sorted(self.tokenizer.get_vocab().items(), key=lambda e: e[1])
            if w.isascii() and w.isalpha()
        ]

    @torch.no_grad()
    def encode(self, sentences: list[str], batch_tokens: int = 2048) -> Tensor:
        """(N, 384) of unit length. Sentences of one length share a batch, so that nothing is padded."""
        rows = [e.ids for e in self.tokenizer.encode_batch(sentences)]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        result = torch.empty(len(rows), self.width)
        for chosen in _same_length(order, rows, batch_tokens):
            ids = torch.tensor([rows[i] for i in chosen], device=self.device)  # (B, T)
            result[chosen] = F.normalize(self._forward(ids).mean(1), dim=1).cpu()
        return result

    def _forward(self, ids: Tensor) -> Tensor:
        """(B, T) without padding -> (B, T, C)."""
        w = self.weights
        e = "embeddings."
        x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + w[e + "token_type_embeddings.weight"][0], e)
        layer = 0
        while (p := f"encoder.layer.{layer}.") + "output.dense.weight" in w:
            q, k, v = (
                self._linear(x, f"{p}attention.self.{n}").unflatten(2, (HEADS, -1)).transpose(1, 2)
                for n in ("query", "key", "value")
            )  # (B, heads, T, C / heads)
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = self._norm(x + self._linear(mixed, p + "attention.output.dense"), p + "attention.output.")
            hidden = F.gelu(self._linear(x, p + "intermediate.dense"))
            x = self._norm(x + self._linear(hidden, p + "output.dense"), p + "output.")
            layer += 1
        return x

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        w = self.weights
        return F.layer_norm(x, x.shape[-1:], w[name + "LayerNorm.weight"], w[name + "LayerNorm.bias"], 1e-12)


def _same_length(order: list[int], rows: list[list[int]], batch_tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in order:
        if batch and (len(rows[i]) != len(rows[batch[0]]) or len(batch) * len(rows[i]) >= batch_tokens):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
