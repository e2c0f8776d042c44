"""The system's C++ compiler: which one there is, and what to say to it until it agrees."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stylecli.ops.cache import BuildError

_NATIVE, _THREADS = "-march=native", "-fopenmp"
_ALWAYS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")
# Tried in this order: some compilers refuse one of the two, some lack the library behind OpenMP.
FLAGS = tuple((*_ALWAYS, *more) for more in ((_NATIVE, _THREADS), (_THREADS,), (_NATIVE,), ()))
_TIMEOUT_S = 120  # for one try


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C++. ``version`` is what it says of itself, empty where it says nothing."""

    command: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        return shlex.join(self.command)

    def compile(self, sources: list[Path], include: Path, target: Path) -> None:
        """One shared library out of all ``sources``, with the first set of flags that works.

        Raises BuildError with everything that the compiler said in its ``log``.
        """
        said = []
        # Intermediate files beside the target: a full /tmp is none of our business.
        environment = os.environ | {"TMPDIR": str(target.parent)}
        for flags in FLAGS:
            command = [*self.command, *flags, "-I", str(include), *map(str, sources), "-o", str(target)]
            said.append(f"$ {shlex.join(command)}")
            try:
                result = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    timeout=_TIMEOUT_S,
                )
            except subprocess.TimeoutExpired as error:
                reason = f"{self} was not done after {_TIMEOUT_S} s"
                raise BuildError(reason, log="\n".join([*said, reason])) from error
            except OSError as error:
                reason = f"{self} cannot be run ({error.strerror})"
                raise BuildError(reason, log="\n".join([*said, reason])) from error
            said.append(result.stdout.decode(errors="replace"))
            said.append(f"ended with {result.returncode}\n")
            if result.returncode == 0 and target.is_file():
                return
        raise BuildError(f"{self} failed", log="\n".join(said))


def find() -> Compiler:
    """``$CXX``, or the first of c++, g++ and clang++ on the path. Raises BuildError where there is none."""
    command = tuple(shlex.split(os.environ.get("CXX", "")))
    if not command:
        found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
        if found is None:
            raise BuildError("no C++ compiler is installed (c++, g++ or clang++)")
        command = (found,)
    try:
        asked = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return Compiler(command, "")  # compile() will say what is wrong
    return Compiler(command, asked.stdout.decode(errors="replace"))
