"""The system's C++ compiler: which one there is, and what to say to it until it agrees."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stylecli.ops.cache import BuildError

_NATIVE, _THREADS = "-march=native", "-fopenmp"
_ALWAYS = ("-O3", "-std=c++17", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
# Tried in this order: some compilers refuse one of the two, some lack the library behind OpenMP.
FLAGS = tuple((*_ALWAYS, *more) for more in ((_NATIVE, _THREADS), (_THREADS,), (_NATIVE,), ()))
_TIMEOUT_S = 300  # for one file; machines can be very busy


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
        said: list[str] = []
        objects = [target.with_name(f"{number}.o") for number in range(len(sources))]
        steps = [
            ["-I", str(include), "-c", str(source), "-o", str(made)]
            for source, made in zip(sources, objects, strict=True)
        ]
        link = ["-shared", *map(str, objects), "-o", str(target)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # each file takes seconds
            for flags in FLAGS:
                tries = [
                    *pool.map(lambda step, flags=flags: self._run([*flags, *step], target.parent), steps)
                ]
                if all(done for done, _ in tries):
                    tries.append(self._run([*flags, *link], target.parent))
                said += [words for _, words in tries]
                if all(done for done, _ in tries) and target.is_file():
                    return
        raise BuildError(f"{self} failed", log="\n".join(said))

    def _run(self, arguments: list[str], temporary: Path) -> tuple[bool, str]:
        """Whether it went well, and what is to be said about it. Raises BuildError where it does not run at all."""
        command = [*self.command, *arguments]
        try:
            result = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Intermediate files go where the result goes: a full /tmp is none of our business.
                env=os.environ | {"TMPDIR": str(temporary)},
                timeout=_TIMEOUT_S,
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            what = error.strerror if isinstance(error, OSError) else f"not done after {_TIMEOUT_S} s"
            reason = f"{self} cannot be run ({what})"
            raise BuildError(reason, log=f"$ {shlex.join(command)}\n{reason}\n") from error
        words = result.stdout.decode(errors="replace")
        return result.returncode == 0, f"$ {shlex.join(command)}\n{words}ended with {result.returncode}\n"


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
