"""The paintings of a sheet by several workers: each is a file for a while, in a folder beside the sheet."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.run.events import Done, Event, Failed, Started
from stylecli.run.executor import Emit
from stylecli.run.provenance import settings_of

if TYPE_CHECKING:
    from stylecli.media import Picture
    from stylecli.paint.settings import Settings
    from stylecli.run.images import ImageJob


def paint_shared(
    job: ImageJob, names: Sequence[tuple[Path, str]], target: Path, emit: Emit
) -> list[tuple[int, Picture, Settings]]:
    """Of the photograph that is ``job.inputs``, in its styles: the number of each that could be painted, the painting,
    and what it was made with. ``names``: under which source and name each style is told of.

    Raises what running the job raises, and KeyboardInterrupt.
    """
    from stylecli.media import read_picture

    specs = [replace(spec, name=str(number)) for number, spec in enumerate(job.specs)]

    def told(event: Event) -> None:
        if isinstance(event, Started | Done | Failed) and event.style is not None:
            source, name = names[int(event.style)]
            event = replace(event, source=source, target=Path(name), style=name)
        emit(event)

    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.absolute().parent) as folder:
        shared = replace(job, specs=specs, output=f"{folder}/", format="png")
        plan = shared.plan(told)
        shared.run(plan, job.loading.load, told)
        return [
            (int(task.style), read_picture(task.target), settings_of(task.target) or {})
            for task in plan.todo
            if task.target.exists()
        ]
