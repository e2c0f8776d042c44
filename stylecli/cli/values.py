"""What values of options mean, and which of them are refused."""

from __future__ import annotations

import math
import os

import typer

from stylecli.errors import UsageError


def finite(value: float | None) -> float | None:
    """Ranges let ``nan`` through: it compares as neither too small nor too large."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("not a finite number")
    return value


def set_variable(context: typer.Context, name: str, value: str) -> None:
    """Set an environment variable until the command ends."""
    before = os.environ.get(name)
    os.environ[name] = value
    context.call_on_close(
        lambda: os.environ.pop(name, None) if before is None else os.environ.update({name: before})
    )


def go_offline(context: typer.Context, offline: bool) -> bool:
    if offline:
        set_variable(context, "STYLIZE_OFFLINE", "1")
    return offline


def tile_rows(text: str) -> int | None:
    """``--tile`` as :class:`stylecli.paint.stylizer.Stylizer` takes it. Raises UsageError."""
    if text.lower() in ("auto", "off"):
        return None if text.lower() == "auto" else 0
    if not text.isdecimal() or int(text) < 16:
        raise UsageError(f"--tile {text}: auto, off, or the height of strips in pixels, 16 or more")
    return int(text)


def memory_bytes(text: str | None) -> int | None:
    """``--memory-limit`` in bytes. Raises UsageError."""
    from stylecli.memory import parse_size

    try:
        return None if text is None else parse_size(text)
    except UsageError as error:
        raise UsageError(f"--memory-limit {error}") from None
