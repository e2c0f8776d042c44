"""Put newly trained weights into the package: ``python -m stylecli.weights.register NAME FILE``.

A tool for developers in a source checkout. It copies FILE to the bundled place of network NAME and
rewrites that file's size and sha256 lines in ``weights.toml``; comments and everything else stay.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from stylecli.errors import StylizeError, UsageError, WeightsError
from stylecli.files.cache import digest_of
from stylecli.weights import manifest
from stylecli.weights.content import SUFFIX, problem_inside
from stylecli.weights.manifest import WeightFile, load_manifest, manifest_path, parse_manifest

LIMIT = 12_000_000
"""Bytes: what a bundled file may weigh beside a style feature network that is a part of it (:func:`weight`)."""
_FEATURES = "reader."

log = logging.getLogger(__name__)


def weight(file: Path) -> int:
    """Bytes of a safetensors file without the tensors of its style feature network."""
    with file.open("rb") as stored:
        header = json.loads(stored.read(int.from_bytes(stored.read(8), "little")))
    offsets = (entry["data_offsets"] for key, entry in header.items() if key.startswith(_FEATURES))
    return file.stat().st_size - sum(end - begin for begin, end in offsets)


def register(name: str, trained: Path, manifest_file: Path | None = None) -> WeightFile:
    """Copy ``trained`` to the bundled place of network ``name``; returns its new manifest entry.

    The manifest is written only after its new text has been parsed and holds what it should. Raises
    WeightsError or UsageError for an unknown or unbundled network, and for a file that is no safetensors
    file or is too large.
    """
    manifest_file = manifest_path() if manifest_file is None else manifest_file
    networks = load_manifest(manifest_file)
    if name not in networks:
        raise UsageError(f"{manifest_file} has no [{name}]; known: {', '.join(sorted(networks))}")
    old = networks[name].file()
    if old.bundled is None:
        raise UsageError(f"{name} is not a bundled network: its file in {manifest_file} has no bundled path")
    _check(trained)
    size, digest = trained.stat().st_size, digest_of(trained)
    if (own := weight(trained)) > LIMIT:
        raise UsageError(
            f"{trained}: {own:,} bytes; a bundled file may have {LIMIT:,} (is it in eight bits?)"
        )

    text = rewrite(manifest_file.read_text(encoding="utf-8"), name, old.name, size, digest)
    new = parse_manifest(text, manifest_file.name)[name].file()
    if (new.size, new.sha256, new.bundled) != (size, digest, old.bundled):
        raise WeightsError(f"{manifest_file}: its size and sha256 lines could not be rewritten")

    target = manifest.PACKAGE.joinpath(*old.bundled.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (target.exists() and target.samefile(trained)):
        part = target.with_name(target.name + ".part")
        shutil.copyfile(trained, part)
        part.replace(target)
    part = manifest_file.with_name(manifest_file.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(manifest_file)
    return new


def rewrite(text: str, network: str, file: str, size: int, digest: str) -> str:
    """The manifest's text with new size and sha256 in the ``[[network.files]]`` table named ``file``."""
    header = re.compile(rf"^\s*\[\[\s*{re.escape(network)}\.files\s*\]\]")
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        table = "".join(lines[start:end])
        named = re.search(rf'^\s*name\s*=\s*"{re.escape(file)}"', table, flags=re.M)
        if header.match(lines[start]) is None or named is None:
            continue
        table = re.sub(r"^(\s*size\s*=\s*)[\d_]+", rf"\g<1>{size}", table, flags=re.M)
        table = re.sub(r'^(\s*sha256\s*=\s*)"[^"]*"', rf'\g<1>"{digest}"', table, flags=re.M)
        return "".join([*lines[:start], table, *lines[end:]])
    raise WeightsError(f"weights.toml: no [[{network}.files]] table names {file}")


def _check(path: Path) -> None:
    """Raise WeightsError unless ``path`` is a whole safetensors file."""
    try:
        problem = problem_inside(path, SUFFIX)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    if problem is not None:
        raise WeightsError(f"{path}: {problem}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m stylecli.weights.register", description=(__doc__ or "").split("\n\n")[-1]
    )
    parser.add_argument("name", metavar="NAME", help="a bundled network of weights.toml")
    parser.add_argument("file", metavar="FILE", type=Path, help="its trained safetensors file")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        entry = register(options.name, options.file)
    except StylizeError as error:
        log.error("%s", error)
        return error.exit_code
    log.info("%s: %s bytes, sha256 %s, bundled as %s", options.name, entry.size, entry.sha256, entry.bundled)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
