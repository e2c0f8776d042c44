"""The weighted mean of weights files: often better than any of them (model soups, arXiv 2203.05482)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from stylecli.errors import UsageError, WeightsError
from stylecli.models.packing import unpack
from stylecli.models.registry import training_record
from stylecli.training.checkpoint import save_release
from stylecli.weights import load_manifest, locate
from stylecli.weights.identity import identify


def parse_shares(texts: Sequence[str]) -> list[tuple[str, float]]:
    """``FILE:SHARE`` of every text, in shares of their sum. Raises UsageError."""
    pairs = []
    for text in texts:
        name, _, number = text.rpartition(":")
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not name or not math.isfinite(share):
            raise UsageError(f"{text}: write it as FILE:SHARE, such as a.safetensors:0.65")
        pairs.append((name, share))
    total = sum(share for _, share in pairs)
    if len(pairs) < 2 or total <= 0:
        raise UsageError("two weights files or more make a mean, with shares of a sum above 0")
    return [(name, share / total) for name, share in pairs]


def average(parts: Sequence[tuple[str, float]], output: Path) -> None:
    """Write the weighted mean of weights files of one kind and configuration.

    Args:
        parts: file, or name of weights.toml, and its share of 1.

    Raises UsageError for files of different networks, WeightsError for one that cannot be read.
    """
    known = load_manifest()
    first, record = "", []
    settings: tuple[str, frozenset[str]] | None = None
    mean: dict[str, Tensor] = {}
    for name, share in parts:
        path = locate(name if name in known else Path(name))
        try:
            config = json.dumps(json.loads(identify(path).config or "null"), sort_keys=True)
            stored = load_file(path)
        except (OSError, ValueError, TypeError, RecursionError, SafetensorError) as error:
            raise WeightsError(f"{path}: weights cannot be read ({str(error).splitlines()[0]})") from None
        tensors = unpack(stored)
        shapes = frozenset(f"{k} {tuple(v.shape)}" for k, v in tensors.items())
        if settings is None:
            settings, first = (config, shapes), name
            # Stored as the first one is.
            eight_bits = [k for k, v in stored.items() if v.dtype == torch.int8]
        elif settings[1] != shapes:
            raise UsageError(f"{name}: of another network than {first}; only weights of one kind have a mean")
        elif settings[0] != config:
            raise UsageError(
                f"{name}: of another configuration than {first}; only weights of one have a mean"
            )
        for key, value in tensors.items():
            mean[key] = share * value + mean[key] if key in mean else share * value
        record.append({"file": name, "share": share, **training_record(path)})
    assert settings is not None
    save_release(output, mean, settings[0], {"average": record}, eight_bits)
