"""Names of networks, and the verified local files behind them.

``locate("stylerwkv-s")`` gives the path of a file whose size and sha256 are those of ``weights.toml``, fetching it
if need be. Nothing here imports torch, and nothing that can open a socket until a file has to be fetched.
"""

from __future__ import annotations

from stylecli.weights.locating import locate
from stylecli.weights.manifest import Network, WeightFile, load_manifest, manifest_path

__all__ = ["Network", "WeightFile", "load_manifest", "locate", "manifest_path"]
