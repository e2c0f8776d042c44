"""Compile ``kernels/`` with the system's C++ compiler on first use, and load the library with ctypes.

One shared library, no torch headers. It is cached under a name that holds a hash of sources, flags, compiler and
processor, built under a temporary name and renamed, so that a killed build or two builds at once leave nothing
broken. Where it cannot be built, ``load`` returns None and the torch path computes the same.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from stylecli.weights.store import cache_dir

log = logging.getLogger(__name__)

FLAGS = (
    "-O3",
    "-march=native",
    "-fopenmp",
    "-std=c++17",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-fno-trapping-math",
)


def sources() -> list[Path]:
    """C++ sources: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    for root in (package / "kernels", package.parent / "kernels"):
        found = sorted(root.glob("*/*.cpp"))
        if found:
            return found
    return []


def _cpu_features() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        return next(
            (line for line in info.read_text().splitlines() if line.startswith(("flags", "Features"))), ""
        )
    return platform.processor()


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL | None:
    """The compiled library, built if need be; None where ``STYLIZE_KERNELS=off`` or it cannot be built."""
    if os.environ.get("STYLIZE_KERNELS", "auto") == "off":
        return None
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    files = sources()
    if not compiler or not files:
        return None
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=20).stdout
        key = hashlib.sha256("\0".join((version, _cpu_features(), *FLAGS)).encode())
        for file in files:
            key.update(file.read_bytes())
        name = f"stylecli-{key.hexdigest()[:16]}.so"
        for folder in (cache_dir() / "kernels", Path(tempfile.gettempdir()) / f"stylecli-{os.getuid()}"):
            try:
                return ctypes.CDLL(str(_built(compiler, files, folder / name)))
            except OSError as error:  # a read-only or full cache: the next place
                log.debug("kernels not built in %s: %s", folder, error)
    except (subprocess.SubprocessError, OSError) as error:
        log.warning("kernels not compiled, using the slower torch path: %s", str(error).splitlines()[0])
    return None


def _built(compiler: str, files: list[Path], target: Path) -> Path:
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / target.name
        log.info("compiling kernels for this processor, about 2 s, once")
        result = subprocess.run(
            [compiler, *FLAGS, *map(str, files), "-o", str(part)], capture_output=True, text=True, timeout=120
        )
        if result.returncode:
            raise subprocess.SubprocessError(
                f"{compiler} failed: {(result.stderr or 'no message').strip()[:200]}"
            )
        part.replace(target)
    return target
