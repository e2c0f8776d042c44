"""``stylize.toml``: options that a user does not want to repeat, for all commands or for one.

>>> strength = 0.8          # of image, text, video and sheet alike
>>> [video]
>>> codec = "hevc"

The user's own file is read first, then that of the current folder; what is typed counts before both.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from stylecli.errors import UsageError

NAME = "stylize.toml"
_COMMANDS = ("image", "text", "video", "sheet")
_NEVER = {"output", "dry-run", "help"}  # what is not meant for every run


def files() -> list[Path]:
    """Where such a file may be, those that count less first."""
    import platformdirs

    return [Path(platformdirs.user_config_dir("stylecli", appauthor=False)) / NAME, Path(NAME)]


def read(group: Any) -> dict[str, dict[str, Any]]:
    """Defaults by command and parameter, for ``group`` (Typer's command line as a whole). Raises UsageError."""
    found: dict[str, dict[str, Any]] = {}
    offered = {name: _options(group.commands[name]) for name in _COMMANDS}
    for path in files():
        try:
            with path.open("rb") as file:
                said = tomllib.load(file)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
            raise UsageError(f"{path}: cannot be read: {reason}") from None
        for name, value in said.items():
            if isinstance(value, dict) and name not in _COMMANDS:
                tables = ", ".join(f"[{one}]" for one in _COMMANDS)
                raise UsageError(f"{path}: there is no [{name}], only {tables}")
        common = {_plain(name): value for name, value in said.items() if not isinstance(value, dict)}
        for name in common:
            _check(name, {one for options in offered.values() for one in options}, path)
        for command, options in offered.items():
            own = {_plain(name): value for name, value in said.get(command, {}).items()}
            for name in own:
                _check(name, set(options), path)
            for name, value in {**common, **own}.items():
                if name in options:
                    parameter = options[name]
                    found.setdefault(command, {})[parameter.name] = _value(parameter, name, value, path)
    return found


def _options(command: Any) -> dict[str, Any]:
    """Parameters by the names that are typed, without dashes."""
    return {option[2:]: one for one in command.params for option in one.opts if option.startswith("--")}


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _check(name: str, known: set[str], path: Path) -> None:
    if name in _NEVER:
        raise UsageError(f"{path}: '{name}' is for the command line alone")
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise UsageError(f"{path}: there is no option '{name}'{f'; did you mean {near[0]}?' if near else ''}")


def _value(parameter: Any, name: str, value: Any, path: Path) -> Any:
    """As the command line would have given it."""
    is_flag = bool(getattr(parameter, "is_flag", False))
    if is_flag != isinstance(value, bool):
        wanted = "true or false" if is_flag else "a number, or a text in quotes"
        raise UsageError(f"{path}: {name}: write {wanted}")
    if is_flag:
        return value
    values = value if isinstance(value, list) else [value]
    if bool(getattr(parameter, "multiple", False)):
        return [str(one) for one in values]
    if len(values) != 1 or isinstance(values[0], dict):
        raise UsageError(f"{path}: {name}: write one value")
    return str(values[0])
