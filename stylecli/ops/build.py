"""The compiled kernels of the CPU: one library out of ``kernels/``, built at first use and loaded with ctypes.

No torch headers, so no torch upgrade can break it. Where it cannot be built, ``load`` returns None and the torch
path computes the same.
"""

from __future__ import annotations

import ctypes
import logging
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stylecli import __version__
from stylecli.ops import cache, compiler
from stylecli.ops.cache import BuildError
from stylecli.ops.kernel_mode import VARIABLE, kernels_wanted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of the library: it is there, or ``reason`` says in one line why not.

    Attributes:
        path: where it was loaded from; None where the cache cannot be written, so that it was made for this process.
        about: compiler, vector instructions and threading, as the library itself says.
        log: what the compiler said, where it failed.
    """

    library: ctypes.CDLL | None = None
    path: Path | None = None
    about: str = ""
    reason: str = ""
    log: Path | None = None


def load() -> ctypes.CDLL | None:
    """The compiled library, built if need be; None where ``STYLIZE_KERNELS=off`` or it cannot be built.

    Raises UsageError for an unknown value of ``STYLIZE_KERNELS``.
    """
    return outcome().library


def outcome(opened: Callable[[Path], object] | None = None) -> Outcome:
    """What ``load`` found, with the reason where that is nothing. Tried once in a process.

    Args:
        opened: called with the library, where it is loaded by this very call: its file may be gone after that.
    """
    if not kernels_wanted():
        return Outcome(reason=f"{VARIABLE}=off")
    with _once:
        if not _found:
            _found.append(_outcome(opened or (lambda path: None)))
        return _found[0]


def use(path: Path) -> None:
    """Let ``load`` give this library. Raises OSError where it is none of ours."""
    _found[:] = [_open(path)]


def forget() -> None:
    """Let the next ``load`` look anew."""
    _found.clear()


_once = threading.RLock()
_found: list[Outcome] = []  # at most one


def _outcome(opened: Callable[[Path], object]) -> Outcome:
    try:
        return _built(compiler.find(), opened)
    except BuildError as error:
        where = cache.keep_log("cpu.log", error.log) if error.log else None
        see = f"; see {where}" if where else ""
        log.warning("kernels not compiled, plain torch computes instead, slower: %s%s", error, see)
        return Outcome(reason=str(error), log=where)


def _built(with_compiler: compiler.Compiler, opened: Callable[[Path], object]) -> Outcome:
    def load(path: Path) -> Outcome:
        made = _open(path)
        opened(path)
        return made

    root = source_folder()
    sources = sorted(root.glob("*/*.cpp"))
    headers = sorted(root.glob("**/*.h"))
    key = [__version__, str(with_compiler), with_compiler.version, cpu_features(), repr(compiler.FLAGS)]
    for file in (*sources, *headers):
        key += [file.relative_to(root).as_posix(), file.read_text()]
    made = cache.cached(
        "cpu.so",
        key,
        lambda target: with_compiler.compile(sources, root, target),
        load,
        notice="compiling kernels for this CPU, a few seconds",
    )
    return made if made.path and made.path.exists() else replace(made, path=None)


def _open(path: Path) -> Outcome:
    """Load the library and ask it what it is. Raises OSError where it is none of ours."""
    library = ctypes.CDLL(str(path))
    try:
        library.stylecli_about.restype = ctypes.c_char_p
        about = library.stylecli_about().decode()
    except AttributeError as error:
        raise OSError(f"{path} is not a library of kernels") from error
    return Outcome(library, path, about)


def source_folder() -> Path:
    """``kernels/``: inside an installed package, or at the top of a checkout. Raises BuildError without one."""
    package = Path(__file__).resolve().parents[1]
    for root in (package / "kernels", package.parent / "kernels"):
        if any(root.glob("*/*.cpp")):
            return root
    raise BuildError("the kernels' sources are not installed")


def cpu_features() -> str:
    """What a library for this very processor must not be shared across."""
    info = Path("/proc/cpuinfo")
    machine = f"{platform.machine()} {platform.processor()}"
    try:
        lines = info.read_text().splitlines()
    except OSError:  # no Linux
        return machine
    return next((f"{machine} {line}" for line in lines if line.startswith(("flags", "Features"))), machine)
