"""Files that workers on other machines need besides the pictures: style images, masks and weights, known by contents.

A worker keeps what it was sent in its own cache, under its digest, and asks for nothing that it has.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import stylecli
from stylecli.errors import UsageError, WeightsError
from stylecli.files.atomic import atomic_path
from stylecli.files.cache import cache_dir, digest_of

if TYPE_CHECKING:
    from stylecli.run.executor import Job

_PACKAGE = Path(stylecli.__file__).parent


@dataclass(frozen=True)
class Parcel:
    """A file: where it is here, its digest, and its place below a cache where it has one of its own."""

    path: Path
    sha256: str
    place: str | None = None

    @property
    def there(self) -> Path:
        """Where it is, or will be, in the cache of the process that asks."""
        return cache_dir() / (self.place or f"shipped/{self.sha256}/{self.path.name}")


def parcels(job: Job) -> list[Parcel]:
    """What ``job`` needs that does not come with the package. Weights that are not here are fetched.

    Raises UsageError for a style image or a mask, and WeightsError for weights that cannot be read."""
    styles = dict.fromkeys(path for spec in job.specs for path in spec.files)
    named = [*(masks for spec in job.specs for masks in spec.masks), job.mask]
    # A folder of masks is where the pictures are: every machine sees it.
    styles |= dict.fromkeys(masks.path for masks in named if masks is not None and masks.path.is_file())
    try:
        return [Parcel(path, digest_of(path), _place(path)) for path in (*styles, *_weights(job))]
    except OSError as error:
        kind = UsageError if error.filename in map(str, styles) else WeightsError
        raise kind(f"{error.filename}: cannot be read: {error.strerror}") from error


def _weights(job: Job) -> list[Path]:
    from stylecli.models.registry import find_model
    from stylecli.weights.locating import locate
    from stylecli.weights.store import named

    model = find_model(job.loading.model, job.loading.weights)
    files = list(model.files)
    if model.file is None:
        files = [
            locate(name, file.name)
            for name in model.descriptor.made_of(model.name)
            for file in named(name).files
        ]
    return [path for path in files if not path.resolve().is_relative_to(_PACKAGE.resolve())]


def _place(path: Path) -> str | None:
    inside = path.is_relative_to(cache_dir())
    return path.relative_to(cache_dir()).as_posix() if inside else None


def unpacked(job: Job, sent: Sequence[Parcel], fetch: Callable[[Parcel], bytes]) -> Job:
    """``job`` with the files of this machine instead of those it was made with; ``fetch`` gives what is not here."""
    for parcel in sent:
        if not (parcel.there.is_file() and digest_of(parcel.there) == parcel.sha256):
            with atomic_path(parcel.there) as part:
                part.write_bytes(fetch(parcel))
    here = {parcel.path: parcel.there for parcel in sent}
    loading, model = job.loading, Path(job.loading.model)
    if model in here:
        loading = replace(loading, model=os.fspath(here[model]))
    if loading.weights in here:
        loading = replace(loading, weights=here[loading.weights])
    return job.with_files(here).loaded_by(loading)


def version() -> str:
    """Of this program, by its sources, and of torch: what must be the same everywhere."""
    from importlib.metadata import version as installed

    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.suffix in (".py", ".toml", ".cpp", ".cu", ".h", ".cuh", ".inc"):
            digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    return f"stylecli {stylecli.__version__} ({digest.hexdigest()[:8]}) with torch {installed('torch')}"


def refined_here() -> tuple[Parcel, ...]:
    """The networks that this process has adapted to styles, or found adapted."""
    from stylecli.paint.refine import in_use

    there = [path for path in in_use if path.is_file()]
    return tuple(Parcel(path, digest_of(path), _place(path)) for path in there)
