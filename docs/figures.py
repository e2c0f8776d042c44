"""Puts the tables of ``stylize bench ... --json`` into README and docs, in place of those that stand there.

    stylize bench speed --repeats 9 --json > speed.json
    python docs/figures.py speed.json ...     # every table of these files, wherever a page has a place for it
    python docs/figures.py                    # which tables are there, by which weights; those of others are marked
    python docs/figures.py --drop             # takes out what was measured with other weights

A place in a page names a table by how its title begins, and which columns it shows; or one column by two others:

    <!-- table: Seconds per picture -->
    <!-- table: Seconds per picture; photograph, what, seconds -->
    <!-- table: Seconds per picture; seconds by photograph and what -->
    ...
    <!-- end of table -->
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from stylecli.weights import load_manifest

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", *sorted(TOP.glob("docs/**/*.md"))]
PLACE = re.compile(
    r"(?P<begin><!-- table: (?P<title>[^;\n]+?)(?:; (?P<view>[^\n]+?))? -->\n)"
    r"(?P<old>.*?)(?P<end><!-- end of table -->)",
    re.DOTALL,
)

NO_WEIGHTS = ("Operators",)  # tables that do not depend on weights
DROPPED = "Not measured yet with the weights that ship.\n"

Row = Mapping[str, str]


def read_tables(paths: Iterable[Path]) -> dict[str, list[Mapping[str, object]]]:
    """The records of every table by its title."""
    tables: dict[str, list[Mapping[str, object]]] = {}
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        for record in (json.loads(line) for line in lines if line.startswith("{")):
            tables.setdefault(record["table"], []).append(record["shown"])
    return tables


def view_of(rows: list[Row], view: str | None) -> list[Row]:
    """All columns, those that are named, or one by two others, as in "seconds by photograph and what"."""
    if view is None:
        return rows
    crossed = re.fullmatch(r"(.+) by (.+) and (.+)", view)
    if crossed is None:
        return [{name: row[name] for name in view.split(", ")} for row in rows]
    value, down, across = crossed.groups()
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        lines.setdefault(row[down], {down: row[down]})[row[across]] = row[value]
    return list(lines.values())


def markdown(shown: list[Mapping[str, object]], view: str | None) -> str:
    """What made a table, where and when, and the table."""
    first = shown[0]
    lines = [f"`{first['by']}`; {'; '.join(first['on'].values())}", ""]
    rows = view_of([one["row"] for one in shown], view)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = (row.get(name, "").replace("|", "\\|") for name in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def replace_tables(page: str, tables: Mapping[str, list[Mapping[str, object]]]) -> str:
    def replaced(place: re.Match[str]) -> str:
        fitting = [title for title in tables if title.startswith(place["title"])]
        new = markdown(tables[fitting[0]], place["view"]) if fitting else place["old"]
        return f"{place['begin']}{new}{place['end']}"

    return PLACE.sub(replaced, page)


def is_stale(title: str, table: str) -> bool:
    """Whether it says nothing of weights, or names others than those that ship."""
    if title in NO_WEIGHTS:
        return False
    shipped = {name: network.version for name, network in load_manifest().items()}
    said = re.findall(r"([a-z][\w-]+-s) (\d+(?:\.\d+)*)", table)
    return not said or any(shipped.get(name) != version for name, version in said)


def drop_stale(page: str) -> str:
    def dropped(place: re.Match[str]) -> str:
        old = DROPPED if is_stale(place["title"], place["old"]) else place["old"]
        return f"{place['begin']}{old}{place['end']}"

    return PLACE.sub(dropped, page)


def main(arguments: list[str]) -> None:
    tables = read_tables(Path(argument) for argument in arguments if argument != "--drop")
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        new = replace_tables(text, tables)
        if "--drop" in arguments:
            new = drop_stale(new)
        if new != text:
            path.write_text(new, encoding="utf-8")
        for place in PLACE.finditer(new):
            mark = "other weights" if is_stale(place["title"], place["old"]) else "as shipped"
            sys.stdout.write(f"{mark:14}{path.relative_to(TOP)}: {place['title']}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
