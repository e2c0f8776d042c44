"""A package of its own for every test: real files, a real manifest, nothing of the installed one touched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from package_kit import MANIFEST, Package, safetensors_bytes
from server_kit import Server

from stylecli.weights import download, manifest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """An installed package with one bundled and one unbundled network, and an empty cache."""
    made = Package(tmp_path / "stylecli", tmp_path / "cache")
    data = safetensors_bytes()
    made.bundled.parent.mkdir(parents=True)
    made.bundled.write_bytes(data)
    made.manifest.write_text(MANIFEST.format(size=len(data), digest=hashlib.sha256(data).hexdigest()))
    monkeypatch.setattr(manifest, "PACKAGE", made.root)
    monkeypatch.setenv("STYLIZE_CACHE", str(made.cache))
    return made


@pytest.fixture
def online(package: Package, monkeypatch: pytest.MonkeyPatch) -> Package:
    """The package, free to use the network of this machine, with little patience."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name == "STYLIZE_OFFLINE":
            monkeypatch.delenv(name)
    hasty = download.Patience(
        timeout_s=0.8, attempts=3, first_wait_s=0.01, longest_wait_s=1.0, slow_time_s=0.3, enough=1 << 12
    )
    monkeypatch.setattr(download, "PATIENCE", hasty)
    return package


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running
