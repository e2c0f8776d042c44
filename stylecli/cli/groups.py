"""Options that image, text, video and sheet share: each stands once, as a field of a dataclass.

A command that is ``@grouped`` names the dataclass as the type of a parameter, and offers its fields as options:

>>> @grouped
... def image(inputs: list[str], *, style: Styles = None, painting: Painting, engine: Engine) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from stylecli.cli import options, values
from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.paint.options import LoadOptions, PaintOptions
    from stylecli.run.executor import Executor
    from stylecli.run.masks import Masks
    from stylecli.run.shard import Shard


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with the fields of dataclasses among its parameters in their place."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        group = hints[name]
        if not is_dataclass(group):
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=group))
            continue
        groups[name] = group
        types = get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                one.name, parameter.KEYWORD_ONLY, default=one.default, annotation=types[one.name]
            )
            for one in fields(group)
        ]

    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{one.name: given.pop(one.name) for one in fields(group)})
        command(**given)

    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


@dataclass(frozen=True)
class Painting:
    """How to paint."""

    strength: options.Strength = 1.0
    stroke_size: options.StrokeSize = 1.0
    preserve_color: options.PreserveColor = False
    colour_only: options.ColourOnly = False
    seed: options.Seed = 0
    refine: options.Refine = None
    features: options.Features = ""

    def options(self, where: Where, *, refine: int | None = None, polish: int = 0) -> PaintOptions:
        """``refine``: where the command has a number of its own. Raises UsageError."""
        from stylecli.paint.options import PaintOptions

        count = (self.refine or 0) if refine is None else refine
        how = (self.strength, self.preserve_color, self.stroke_size, self.seed, count, polish)
        if where.faces < 1:
            from stylecli.paint.faces import check_detector

            check_detector()
        return PaintOptions(*how, features=self.features, colour_only=self.colour_only, faces=where.faces)


@dataclass(frozen=True)
class Where:
    """Where to paint."""

    mask: options.Mask = None
    invert_mask: options.InvertMask = False
    feather: options.Feather = 0.0
    faces: options.FacesOption = 1.0

    def masks(self, *, regions: bool = False) -> Masks | None:
        """``regions``: whether there are masks of regions. Raises UsageError."""
        if self.mask is None:
            if self.invert_mask or (self.feather and not regions):
                said = "--invert-mask" if self.invert_mask else "--feather"
                raise UsageError(f"{said} needs --mask FILE")
            return None
        from stylecli.run.masks import Masks

        masks = Masks(self.mask, self.invert_mask, self.feather)
        masks.check()
        return masks


@dataclass(frozen=True)
class Engine:
    """With what to paint, and where."""

    model: options.Model = None
    device: options.DeviceOption = options.Device.auto
    dtype: options.DtypeOption = options.Dtype.auto
    tile: options.Tile = "auto"
    memory_limit: options.MemoryLimit = None

    @property
    def limit(self) -> int | None:
        """Bytes. Raises UsageError."""
        return values.memory_bytes(self.memory_limit)

    def loading(self, usual: str, seed: int = 0) -> LoadOptions:
        """``usual``: the network where none was named. Raises UsageError."""
        from stylecli.paint.options import LoadOptions

        return LoadOptions(
            self.model or usual,
            device=self.device.value,
            dtype=self.dtype.value,
            seed=seed,
            tile=values.tile_rows(self.tile),
            memory_limit=self.limit,
        )

    @property
    def kept(self) -> dict[Path, str]:
        """The weights file, where one was named: no result may replace it."""
        from stylecli.weights.store import looks_like_path

        if self.model is None or not looks_like_path(self.model):
            return {}
        return {Path(self.model): "the weights file"}


@dataclass(frozen=True)
class Sharing:
    """Among whom the pictures are shared."""

    shard: options.Shard = None
    jobs: options.Jobs = 1
    cluster: options.Cluster = None

    @property
    def part(self) -> Shard:
        """Raises UsageError."""
        from stylecli.run.shard import Shard

        return Shard.parse(self.shard)

    def executor(self, device: str) -> Executor:
        """Who paints on ``--device``."""
        from stylecli.run.executor import InProcess

        if self.cluster is not None:
            from stylecli.run.cluster import Cluster

            return Cluster(self.cluster, device, self.jobs)
        if self.jobs == 1 and "," not in device and ":all" not in device:
            return InProcess()
        from stylecli.run.processes import Processes

        return Processes(device, self.jobs)


@dataclass(frozen=True)
class Reading:
    """What of the inputs is taken."""

    recursive: options.Recursive = False
    overwrite: options.Overwrite = False
    max_size: options.MaxSize = None
    max_pixels: options.MaxPixels = 400_000_000


@dataclass(frozen=True)
class Telling:
    """What is said, and whether it is done at all."""

    dry_run: options.DryRun = False
    open: options.Open = False
    json: options.Json = False
    quiet: options.Quiet = False
    verbose: options.Verbose = False
