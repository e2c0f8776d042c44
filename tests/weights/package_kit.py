"""What the weights tests are made of: a small true safetensors file, a manifest, a package on disk."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from dataclasses import dataclass
from pathlib import Path


def safetensors_bytes(seed: int = 0, count: int = 64) -> bytes:
    """A true safetensors file with one float16 tensor of ``count`` numbers."""
    tensor = {"dtype": "F16", "shape": [count], "data_offsets": [0, 2 * count]}
    body = random.Random(seed).randbytes(2 * count)
    return headed({"__metadata__": {"seed": str(seed)}, "w": tensor}) + body


def headed(header: object) -> bytes:
    """The beginning of a safetensors file with this header."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


MANIFEST = """\
# a comment that has to survive
[net]
kind = "style-rwkv"
version = "1"
licence = "Apache-2.0"
source = "made for a test"

[[net.files]]
name = "net.safetensors"
size = {size}  # bytes
sha256 = "{digest}"
bundled = "assets/weights/net.safetensors"

[loose]  # not bundled
kind = "vgg16"
version = "1"
licence = "CC-BY-4.0"
source = "elsewhere"

[[loose.files]]
name = "loose.safetensors"
"""


@dataclass(frozen=True)
class Package:
    root: Path
    cache: Path

    @property
    def bundled(self) -> Path:
        return self.root / "assets" / "weights" / "net.safetensors"

    @property
    def cached(self) -> Path:
        return self.cache / "weights" / "net" / "net.safetensors"

    @property
    def manifest(self) -> Path:
        return self.root / "weights.toml"

    def add(
        self, *urls: str, data: bytes | None = None, name: str = "far", file: str = "far.safetensors"
    ) -> Path:
        """A network to fetch from ``urls``, in the manifest; its size and digest are known if ``data`` is given.

        Returns its place in the cache.
        """
        table = HEAD.format(name=name) if f"[{name}]" not in self.manifest.read_text() else ""
        table += f'[[{name}.files]]\nname = "{file}"\nurls = {json.dumps(urls)}\n'
        if data is not None:
            table += f'size = {len(data)}\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
        with self.manifest.open("a") as manifest:
            manifest.write(table)
        return self.cache / "weights" / name / file

    def in_cache(self) -> set[str]:
        """Names of all files in the cache, except locks."""
        found = self.cache.rglob("*") if self.cache.exists() else ()
        return {path.name for path in found if not path.is_dir() and path.suffix != ".lock"}


HEAD = """
[{name}]
kind = "style-rwkv"
version = "1"
licence = "MIT"
source = "a server of this test"
"""
