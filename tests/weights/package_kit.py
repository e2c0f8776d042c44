"""What the weights tests are made of: a small true safetensors file, a manifest, a package on disk."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path


def safetensors_bytes(seed: int = 0) -> bytes:
    """A true safetensors file with one float16 tensor of 64 numbers."""
    header = {
        "__metadata__": {"seed": str(seed)},
        "w": {"dtype": "F16", "shape": [64], "data_offsets": [0, 128]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes((seed + i) % 60 for i in range(128))


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
