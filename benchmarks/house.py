"""How a tree of stylecli is built, in numbers: ``python benchmarks/house.py [TREE]`` (docs/architecture.md)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PAINTING = ("cli.image", "cli.text", "cli.video", "cli.sheet")
LONG_FILE = 350

Trees = dict[str, ast.Module]
Graph = dict[str, set[str]]


def modules(root: Path) -> Trees:
    """All modules of the package below ``root``, by name: "paint.stylizer"."""
    folder = root / "stylecli"
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(folder.rglob("*.py"))
    }


def imported(node: ast.AST, in_functions: bool) -> Iterator[str]:
    """What a module imports, but for type checkers alone."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ImportFrom) and inner.module:
            yield from (f"{inner.module}.{alias.name}" for alias in inner.names)
        elif isinstance(inner, ast.Import):
            yield from (alias.name for alias in inner.names)
        elif isinstance(inner, ast.If) and ast.unparse(inner.test) == "TYPE_CHECKING":
            continue
        elif in_functions or not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imported(inner, in_functions)


def arrows(trees: Trees, in_functions: bool = True) -> Graph:
    """Which modules of ours each module imports; without ``in_functions`` when it is itself imported."""
    graph: Graph = {}
    for name, tree in trees.items():
        names = {full.removeprefix("stylecli.") for full in imported(tree, in_functions)}
        # "from package import name" is a module of the package, or something in the package's own file.
        graph[name] = {one if one in trees else one.rpartition(".")[0] for one in names} & trees.keys() - {
            name
        }
    return graph


def rooms(graph: Graph) -> Graph:
    """The same between the folders and files at the top of the package."""
    found: Graph = {}
    for name, to in graph.items():
        room = name.partition(".")[0]
        found.setdefault(room, set()).update({one.partition(".")[0] for one in to} - {room})
    return found


def circles(graph: Graph) -> list[list[str]]:
    """One circle after the other, each broken at one arrow."""
    graph, found = {name: set(to) for name, to in graph.items()}, []
    while True:
        try:
            TopologicalSorter(graph).prepare()
            return found
        except CycleError as error:
            circle = error.args[1]
            found.append(circle)
            graph[circle[1]].discard(circle[0])


def reached(graph: Graph, begin: set[str]) -> set[str]:
    """What is imported from there on, at the top or within functions."""
    found: set[str] = set()
    new = begin
    while new:
        found |= new
        new = {to for name in new for to in graph[name]} - found
    return found


def report(root: Path) -> Iterator[str]:
    """Lines for people."""
    trees = modules(root)
    for where in ("stylecli", "tests"):
        lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in (root / where).rglob("*.py")]
        long = sum(count > LONG_FILE for count in lines)
        yield f"{where}/: {sum(lines)} lines in {len(lines)} files, {long} of them over {LONG_FILE}"
    for in_functions, said in ((False, "as modules are imported"), (True, "with imports within functions")):
        graph = arrows(trees, in_functions)
        yield f"circles {said}: {len(circles(graph))} of modules, {len(circles(rooms(graph)))} of rooms"
        for circle in (*circles(graph), *circles(rooms(graph))):
            yield "  " + " <- ".join(circle)
    named = reached(graph, trees.keys() & set(PAINTING))
    yield f"rooms that painting imports: {' '.join(sorted({name.partition('.')[0] for name in named}))}"
    length, place = max(
        (inner.end_lineno - inner.lineno + 1, f"{name}.{inner.name}")
        for name, tree in trees.items()
        for inner in ast.walk(tree)
        if isinstance(inner, ast.FunctionDef) and inner.end_lineno is not None
    )
    yield f"longest function: {length} lines, {place}"


if __name__ == "__main__":
    sys.stdout.write("\n".join([*report(Path(*sys.argv[1:])), ""]))
