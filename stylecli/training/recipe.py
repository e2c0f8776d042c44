"""Recipes: everything that decides a training run, in one TOML file.

The keys that all networks share are the fields of :class:`Recipe` and :class:`Optimizer`; each task adds tables of its
own, as a dataclass of dataclasses (:mod:`stylecli.training.tasks`). Whatever is neither is refused, and named.
"""

from __future__ import annotations

import difflib
import math
import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from stylecli.errors import UsageError
from stylecli.weights import load_manifest, locate

SHIPPED = Path(__file__).with_name("recipes")
FREE = ("save_every", "release_every", "data.vgg_unit")
"""Keys that change no number of a run: it may go on with others. The last was one once."""


@dataclass(frozen=True)
class Optimizer:
    """AdamW and its learning rate over the run.

    Attributes:
        lr: highest learning rate. betas: of AdamW. weight_decay: of parameters of two axes and more; 0: Adam.
        clip: largest norm of all gradients together.
        warm_up: steps over which the rate rises. decay_from: share of the run after which it falls (cosine).
        floor: share of ``lr`` that it ends at.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    warm_up: int = 100
    decay_from: float = 0.5
    floor: float = 0.02


@dataclass(frozen=True)
class Recipe:
    """One run. Paths are relative to ``base``, and where nothing is there, to the current folder.

    Attributes:
        task: what is trained, a name of :data:`stylecli.training.tasks.TASKS`.
        steps, batch, seed: length of the run, samples of a step over all workers, what decides every random number.
        minutes: time, with all preparations, after which a run ends that has not come so far; its learning rate then
            falls by time. 0: none.
        device: auto, cpu or cuda. dtype: auto, fp32 or bf16 (mixed precision).
        workers: processes that share a batch: one thread each on CPUs, one graphics card each on those.
        warm_start: weights to begin with, a file or a name of weights.toml. freeze: beginnings of the names of
            parameters that stay as they are.
        ema: decay of the moving average of the weights, which is what is released; 0: no averaging.
        save_every, release_every: steps between checkpoints; between weights with their sheets and figures.
        own: the task's own tables, with its data, crops and weights of losses.
        table: the whole recipe as plain values, defaults filled in.
    """

    task: str
    steps: int
    batch: int
    seed: int = 0
    minutes: float = 0.0
    device: str = "auto"
    dtype: str = "auto"
    workers: int = 1
    warm_start: str = ""
    freeze: tuple[str, ...] = ()
    ema: float = 0.998
    save_every: int = 250
    release_every: int = 500
    optimizer: Optimizer = field(default_factory=Optimizer)
    own: Any = None
    name: str = field(default="recipe", compare=False)
    base: Path = field(default=Path(), compare=False)
    table: dict[str, Any] = field(default_factory=dict, compare=False)

    def path(self, text: str) -> Path:
        """A file or folder that the recipe names."""
        inside = self.base / Path(text).expanduser()
        return Path(text) if not inside.exists() and Path(text).exists() else inside

    def paths(self, texts: Sequence[str]) -> list[Path]:
        return [self.path(text) for text in texts]

    def weights(self, text: str) -> Path:
        """A weights file: a path of the recipe, or a name of weights.toml. Raises WeightsError."""
        return locate(text if text in load_manifest() else self.path(text))

    def fetch(self) -> None:
        """Get the weights that the recipe names, so that no worker has to. Raises WeightsError."""
        known = load_manifest()
        for _, value in _flat(self.table):
            if isinstance(value, str) and value in known:
                locate(value)


_COMMON = [f.name for f in fields(Recipe) if f.name not in ("own", "name", "base", "table")]


def load_recipe(name: str, data: Path | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name: a TOML file, or a recipe that ships.
        data: folder that paths are relative to; by default the file's own, the current one for a recipe that ships.
        overrides: ``key=value``, dots between tables, values as in TOML (text without quotes will do).

    Raises UsageError, one line that names the key.
    """
    path = Path(name)
    if not path.is_file():
        shipped = SHIPPED / f"{name}.toml"
        if not shipped.is_file():
            known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
            raise UsageError(f"{name}: neither a file nor a recipe that ships; those are {known}")
        path, base = shipped, Path()
    else:
        base = path.parent
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: not a recipe ({error})") from None
    for text in overrides:
        _override(table, text)
    return parse_recipe(table, str(path), data or base)


def parse_recipe(table: Mapping[str, Any], name: str = "recipe", base: Path | None = None) -> Recipe:
    """A recipe from its values. Raises UsageError for a key that is unknown, missing, or of another type."""
    from stylecli.training.tasks import TASKS, settings_of

    task = table.get("task")
    if task not in TASKS:
        raise UsageError(f"{name}: task = {task!r}; choose one of {', '.join(sorted(TASKS))}")
    settings = settings_of(task)
    own_names = [f.name for f in fields(settings)]
    known = [*_keys(Recipe, only=_COMMON), *_keys(settings)]
    for key, _ in _flat(table):
        if key not in known:
            raise UsageError(f"{name}: unknown key {key}{_nearest(key, known)}")
    common = _parse(Recipe, {k: v for k, v in table.items() if k in _COMMON}, name)
    own = _parse(settings, {k: v for k, v in table.items() if k in own_names}, name)
    for key in ("steps", "batch", "workers", "save_every", "release_every"):
        if getattr(common, key) < 1:
            raise UsageError(f"{name}: {key} = {getattr(common, key)}: at least 1")
    if common.minutes < 0 or (common.minutes and common.workers > 1):
        raise UsageError(f"{name}: minutes = {common.minutes}: at least 0, and with a single worker")
    if common.batch % common.workers:
        raise UsageError(f"{name}: a batch of {common.batch} cannot be shared by {common.workers} workers")
    plain = {k: _plain(getattr(common, k)) for k in _COMMON} | _plain(own)
    return replace(common, own=own, name=name, base=base or Path(), table=plain)


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first key in which two recipes' tables differ, with both values; None where there is none.

    Those of :data:`FREE` may differ.
    """
    old, new = (dict(_flat(table)) for table in (before, now))
    for key in [*new, *(k for k in old if k not in new)]:
        if key not in FREE and old.get(key) != new.get(key):
            return f"{key} was {old.get(key)!r} and is {new.get(key)!r} now"
    return None


def _override(table: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--set {text}: write it as key=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *tables, last = key.strip().split(".")
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {text}: {name} is no table")
    table[last] = parsed


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys with dots between the tables, and their values (lists are values)."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _keys(kind: type, prefix: str = "", only: Sequence[str] | None = None) -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        if only is not None and f.name not in only:
            continue
        inner = f.metadata.get("changes", hints[f.name])
        if is_dataclass(inner):
            yield from _keys(typing.cast(type, inner), f"{prefix}{f.name}.")
        else:
            yield prefix + f.name


def _nearest(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, 1, 0.3)
    return f"; the nearest known one is {close[0]}" if close else ""


def _parse(kind: type, table: Any, name: str, prefix: str = "") -> Any:
    if not isinstance(table, Mapping):
        raise UsageError(f"{name}: {prefix.rstrip('.')} = {table!r}: must be a table")
    hints, values = typing.get_type_hints(kind), {}
    for f in fields(kind):
        key = prefix + f.name
        if f.name in table:
            changes = f.metadata.get("changes")
            values[f.name] = (
                _changes(changes, table[f.name], name, f"{key}.")
                if changes
                else _value(table[f.name], hints[f.name], name, key)
            )
        elif is_dataclass(hints[f.name]):
            values[f.name] = _parse(typing.cast(type, hints[f.name]), {}, name, f"{key}.")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise UsageError(f"{name}: {key} is missing")
    return kind(**values)


def _changes(kind: type, table: Any, name: str, prefix: str) -> dict[str, Any]:
    """Some fields of a dataclass."""
    hints = typing.get_type_hints(kind)
    return {k: _value(v, hints[k], name, prefix + k) for k, v in table.items()}


def _value(value: Any, hint: Any, name: str, key: str) -> Any:
    if is_dataclass(hint):
        return _parse(typing.cast(type, hint), value, name, f"{key}.")
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        kinds = typing.get_args(hint)
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(kinds) == len(value):
            return tuple(_value(v, k, name, key) for v, k in zip(value, kinds, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    what = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false"}.get(
        hint, "a list of the right length"
    )
    raise UsageError(f"{name}: {key} = {value!r}: must be {what}")


def _plain(value: Any) -> Any:
    """Values as TOML and JSON have them."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value
