"""``stylize weights``: which networks there are, which of them are here, and bringing the others in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stylecli.cli import options
from stylecli.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stylecli.weights.manifest import Network
    from stylecli.weights.transfer import Moved

weights = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The networks' files: list, fetch, check, carry elsewhere.",
)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="As 'stylize weights list' names them.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="One folder for each network, its files in it.")]


@weights.command("list")
def list_(json: options.Json = False) -> None:
    """Show every network: its version, whether it is bundled, cached, missing or damaged, its size and licence."""
    from stylecli.console import print_json, print_table

    described = [_describe(network) for network in _chosen(None)]
    if json:
        for network in described:
            print_json(network)
    else:
        print_table(HEADINGS, map(_cells, described))


HEADINGS = ("name", "version", "state", "size", "licence", "used by")


@weights.command()
def fetch(
    names: Names,
    offline: options.Offline = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Fetch what is missing or damaged of these networks. Interrupted, it goes on where it stopped."""
    from stylecli.console import Console, print_json
    from stylecli.weights.fetching import fetch as fetch_file

    networks, failed = _chosen(names), False
    with Console(quiet=quiet, verbose=verbose) as console:
        try:
            for network in networks:
                try:
                    for file in network.files:
                        path = fetch_file(network, file)
                        if not json:
                            console.say(f"{network.name}: {path}")
                except WeightsError as error:
                    failed = True
                    console.error(error)
                if json:
                    print_json(_describe(network))
        except KeyboardInterrupt:
            console.say("interrupted: the same command goes on from here")
            raise typer.Exit(130) from None
    raise typer.Exit(3 if failed else 0)


@weights.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Which ones; all if none is named.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check every file here against its size and sha256. Exit code 3 if one is damaged, or a named one missing."""
    from stylecli.console import Console, print_json

    bad = 0
    with Console(quiet=quiet) as console:
        for network in _chosen(names or None):
            described = _describe(network)
            if json:
                print_json(described)
            for file, entry in zip(described["files"], network.files, strict=True):
                wrong = file["state"] == "damaged" or (
                    file["state"] == "missing" and bool(names or entry.bundled)
                )
                bad += wrong
                if wrong:
                    console.error(f"{network.name}: {file['path']} {file['problem']}")
                elif not json:
                    console.say(
                        f"{network.name}: {file['name']} {_verdict(file, known=entry.sha256 is not None)}"
                    )
    raise typer.Exit(3 if bad else 0)


@weights.command()
def path(name: Annotated[str, typer.Argument(metavar="NAME", help="A network.")]) -> None:
    """Print where the files of a network are, one a line. Fetches nothing; exit code 3 for what is not here."""
    from stylecli.weights.store import inspect

    (network,) = _chosen([name])
    for file in network.files:
        found = inspect(network, file)
        if found.problem is not None:
            remedy = f"; 'stylize weights fetch {name}' fetches it" if file.urls else ""
            raise WeightsError(f"weights {name}: {found.path} {found.problem}{remedy}")
        typer.echo(os.fsencode(found.path))  # bytes: any name survives


@weights.command()
def remove(names: Names) -> None:
    """Remove from the cache what was fetched of these networks, and the digests that were pinned."""
    from stylecli.console import Console
    from stylecli.weights.transfer import remove as remove_files

    with Console() as console:
        for network in _chosen(names):
            count = remove_files(network)
            console.say(f"{network.name}: {count} {'file' if count == 1 else 'files'} removed from the cache")


@weights.command()
def export(folder: Folder) -> None:
    """Copy every file of the cache into DIR, for a machine without a network."""
    from stylecli.weights.transfer import export_to

    _move(export_to(folder), "there is nothing in the cache to export")


@weights.command("import")
def import_(folder: Folder) -> None:
    """Copy into the cache what DIR has, as 'export' wrote it; each file is checked first."""
    from stylecli.weights.transfer import import_from

    _move(import_from(folder), "")


def _move(files: Iterable[Moved], nothing: str) -> None:
    from stylecli.console import Console

    problems = count = 0
    with Console() as console:
        for moved in files:
            count += 1
            if moved.problem is None:
                console.say(f"{moved.network}: {moved.path}")
            else:
                problems += 1
                console.error(f"{moved.network}: {moved.problem}")
        if not count:
            console.say(nothing)
    raise typer.Exit(3 if problems else 0)


def _chosen(names: list[str] | None) -> list[Network]:
    """The networks of these names, or all. Raises UsageError for a name that there is not."""
    from stylecli.weights import load_manifest

    networks = load_manifest()
    unknown = [name for name in names or () if name not in networks]
    if unknown:
        raise UsageError(f"no weights are called {unknown[0]!r}; known: {', '.join(sorted(networks))}")
    return [networks[name] for name in dict.fromkeys(names or networks)]


def _describe(network: Network) -> dict[str, Any]:
    """A network and the state of its files, as --json shows them."""
    from stylecli.weights.store import State, inspect

    files = []
    for file in network.files:
        found = inspect(network, file)
        files.append(
            {
                "name": file.name,
                "state": found.state,
                "problem": found.problem,
                "path": found.path,
                "size": found.size if found.size is not None else file.size,
                "sha256": found.sha256 or file.sha256,
                "pinned": found.pinned,
                "urls": list(file.urls),
            }
        )
    states = {file["state"] for file in files}
    order = (State.damaged, State.missing, State.cached, State.bundled)  # the worst speaks for all
    sizes = [file["size"] for file in files]
    return {
        "name": network.name,
        "kind": network.kind,
        "version": network.version,
        "licence": network.licence,
        "source": network.source,
        "used_by": network.used_by,
        "state": next(state for state in order if state in states),
        "size": sum(size for size in sizes if size is not None) or None,
        "size_is_known": None not in sizes,
        "files": files,
    }


def _cells(network: dict[str, Any]) -> tuple[str, ...]:
    from stylecli.weights.progress import megabytes

    size = "?" if network["size"] is None else megabytes(network["size"])
    if network["size"] is not None and not network["size_is_known"]:
        size += " and more"
    head = network["name"], network["version"], network["state"]
    return *head, size, network["licence"], network["used_by"]


def _verdict(file: dict[str, Any], *, known: bool) -> str:
    if file["state"] == "missing":
        return "is not here"
    digest = f"sha256 {file['sha256'][:12]}…"
    if file["pinned"]:
        return f"is as it was when it was first seen ({digest})"
    return (
        f"is {file['state']} and whole ({digest})" if known else f"has nothing to be compared with ({digest})"
    )
