"""``stylize manual``: all help pages as one manual page, made of the commands themselves: it is never behind them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from stylecli import __version__

_EXITS = (
    ("0", "Everything was done."),
    ("1", "Some inputs failed; each is named, and the rest is done."),
    ("2", "Wrong usage."),
    ("3", "Weights could not be had or verified."),
    ("4", "Out of memory."),
    ("130", "Interrupted: finished files stay, and half-written ones do not exist."),
)
_VARIABLES = (
    ("STYLIZE_CACHE", "Folder for compiled kernels and fetched weights."),
    ("STYLIZE_OFFLINE", "1: fetch nothing, open no connection."),
    ("STYLIZE_DEBUG", "1: show where an unexpected error happened."),
)


def manual(context: typer.Context) -> None:
    """Print the manual page, in troff: all commands, options, examples and exit codes."""
    from stylecli.console import print_text

    text = page(context.find_root().command)
    if not sys.stdout.isatty() or not _shown(text):
        print_text(text)


def page(group: Any) -> str:
    """The manual page of ``group`` (Typer's command line as a whole) and of all below it."""
    lines = [
        f'.TH STYLIZE 1 "" "stylecli {__version__}" "User Commands"',
        *(".SH NAME", "stylize \\- " + _plain(group.help or "").rstrip(".")),
        *(".SH SYNOPSIS", ".B stylize", ".I COMMAND", "[\\fIOPTION\\fR]..."),
        *(".SH OPTIONS", *_options(group)),
        *(".SH COMMANDS", *_commands(group, "stylize")),
        *(".SH EXIT STATUS", *_terms(_EXITS)),
        *(".SH ENVIRONMENT", *_terms(_VARIABLES)),
        *(
            ".SH FILES",
            *_terms([("stylize.toml", "Options that need not be typed: here, or in your configuration.")]),
        ),
    ]
    return "\n".join(lines)


def _commands(group: Any, path: str) -> Iterator[str]:
    from stylecli.cli.help import EXAMPLES

    for name in group.list_commands(None):
        below, full = group.commands[name], f"{path} {name}"
        if getattr(below, "hidden", False):
            continue
        context = below.context_class(below, info_name=full)
        yield f".SS {_escaped(' '.join([full, *below.collect_usage_pieces(context)]))}"
        yield _plain(below.help or below.short_help or "")
        yield from _options(below)
        examples = EXAMPLES.get(full.removeprefix("stylize "), ())
        if examples:
            yield from (".PP", f"{'Examples' if len(examples) > 1 else 'Example'}:", ".PP", ".nf", ".RS")
            yield from map(_escaped, examples)
            yield from (".RE", ".fi")
        if hasattr(below, "commands"):
            yield from _commands(below, full)


def _options(command: Any) -> Iterator[str]:
    from stylecli.cli.help import plain

    context = command.context_class(command, info_name="stylize")
    records = [one.get_help_record(context) for one in command.get_params(context)]
    yield from _terms((plain(record[0]), record[1]) for record in records if record is not None)


def _terms(pairs: Any) -> Iterator[str]:
    for term, text in pairs:
        yield from (".TP", f".B {_escaped(term)}", _plain(text))


def _plain(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    """Nothing in it is a troff command."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text


def _shown(text: str) -> bool:
    """Whether ``man`` has shown it to a person."""
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("man")
    if program is None:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".1", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        return subprocess.run([program, "-l", file.name], check=False).returncode == 0
