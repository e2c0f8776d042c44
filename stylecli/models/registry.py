"""From names and files to networks: finds the descriptors (``models/<network>/descriptor.py``), and asks them.

Networks themselves are imported when one is wanted: all together take a twentieth of a second.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylecli import models
from stylecli.errors import UsageError, WeightsError
from stylecli.models.descriptor import Descriptor, Painter
from stylecli.weights import load_manifest, locate
from stylecli.weights.identity import fingerprint_of, identify
from stylecli.weights.store import fixed_digests, is_here, looks_like_path

if TYPE_CHECKING:
    from torch import nn


def descriptors() -> Mapping[str, Descriptor]:
    """All kinds of networks that there are, by kind: one for each folder of this package that has a descriptor."""
    folders = tuple(models.__path__)
    if folders not in _found:
        names = sorted(
            {
                entry.name
                for folder in folders
                for entry in os.scandir(folder)
                if (Path(entry.path) / "descriptor.py").is_file()
            }
        )
        modules = [importlib.import_module(f"stylecli.models.{name}.descriptor") for name in names]
        _found[folders] = {module.DESCRIPTOR.kind: module.DESCRIPTOR for module in modules}
    return _found[folders]


_found: dict[tuple[str, ...], dict[str, Descriptor]] = {}


@dataclass(frozen=True)
class Model:
    """What a name or a file stands for; ``file`` None where it is made of published parts."""

    name: str
    descriptor: Descriptor
    file: Path | None
    own: bool = False
    """Whether the user named the file."""

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All weights files that it is made of."""
        return () if self.file is None else tuple(self.descriptor.files(self.file, self.own))

    def fingerprint(self, seed: int = 0) -> str:
        """Stands for all its numbers; ``seed``: what an untrained network starts from."""
        if self.file is None:
            parts = [*(fixed_digests(name) for name in self.descriptor.made_of(self.name)), str(seed)]
        else:
            parts = [fingerprint_of(path) for path in self.files]
        return parts[0] if len(parts) == 1 else hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def find_model(name: str | Path, weights: Path | None = None) -> Model:
    """What a name of ``weights.toml``, or a weights file, stands for; ``weights`` is used instead of the name's own.

    Raises:
        WeightsError: missing or damaged weights, or of no kind that is known here.
        UsageError: ``weights`` for a network that has no file of its own.
    """
    text = os.fspath(name)
    for made in descriptors().values():
        if text in made.names:
            if weights is not None:
                raise UsageError(f"--weights {weights}: none can be trained for --backbone {text}")
            return Model(text, made, None)
    known = load_manifest().get(text)
    path = locate(text if weights is None else weights)
    own = known is None or weights is not None
    said = identify(path)
    kind = said.kind or kind_of(said.config or "") or (None if known is None else known.kind)
    descriptor = descriptors().get(kind or "")
    if descriptor is None:
        what = "a kind of network" if kind is None else f"{kind!r}, a kind of network"
        raise WeightsError(f"{path}: of {what} that stylecli does not know; was it written by stylize train?")
    return Model(path.name if own else text, descriptor, path, own)


def known_fingerprint(name: str | Path, weights: Path | None = None, seed: int = 0) -> str | None:
    """The fingerprint of :func:`find_model`'s network if all its files are here; None otherwise. Fetches nothing.

    Raises WeightsError for a file of the user's own that is missing or damaged."""
    own = weights is not None or looks_like_path(os.fspath(name))
    if not own and name in load_manifest() and not is_here(str(name)):
        return None
    return find_model(name, weights).fingerprint(seed)


def load_painter(name: str | Path, weights: Path | None = None, seed: int = 0) -> Painter:
    """A painting network with all its parts; arguments as of :func:`find_model`, ``seed`` as of
    :meth:`Model.fingerprint`. Raises as :func:`find_model` does, and WeightsError where it does not paint."""
    model = find_model(name, weights)
    descriptor = model.descriptor
    if descriptor.guided_by is None:
        raise WeightsError(f"weights {name}: of kind {descriptor.kind}, which does not paint")
    if model.file is None:
        assert descriptor.make is not None
        network, encoder = descriptor.make(model.name, seed)
        return Painter(network, descriptor, encoder, model.fingerprint(seed))
    network, encoder_or_none = descriptor.assemble(load_network(model.file, descriptor.kind), model.files)
    return Painter(network, descriptor, encoder_or_none, model.fingerprint(seed))


def load_network(path: Path, kind: str = "style-rwkv") -> nn.Module:
    """A module of one kind from its weights file. Raises WeightsError."""
    from stylecli.models.loading import load_module

    return load_module(path, kind, descriptors()[kind].build)


def kind_of(config: str) -> str | None:
    """The kind of network whose configuration (JSON text) this is; None where nothing tells."""
    try:
        settings = json.loads(config)
    except (ValueError, RecursionError):
        return None
    for kind, descriptor in descriptors().items():
        if descriptor.settings and isinstance(settings, dict) and descriptor.settings <= settings.keys():
            return kind
    return None


def training_record(path: Path) -> dict[str, Any]:
    """How the weights were trained, as ``stylize train`` wrote it; empty where it did not, or wrote something else."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("training", "{}")
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return {}
