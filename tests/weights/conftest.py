"""A package of its own for every test: real files, a real manifest, nothing of the installed one touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from package_kit import MANIFEST, Package, safetensors_bytes

from stylecli.weights import manifest


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
