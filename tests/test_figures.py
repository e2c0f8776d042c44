"""docs/figures.py: tables of bench go where pages have a place for them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("figures", TOP / "docs" / "figures.py")
assert SPEC is not None and SPEC.loader is not None
figures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(figures)

ROWS = [("5", "image", "0.1"), ("5", "text", "0.2"), ("8", "image", "0.3")]


def shown(row: tuple[str, str, str]) -> dict[str, object]:
    on = {"date": "today", "weights": "toy-s 1"}
    return {
        "by": "stylize bench speed",
        "on": on,
        "row": dict(zip(("size", "what", "seconds"), row, strict=True)),
    }


@pytest.mark.parametrize(
    ("view", "table"),
    [
        ("", "| size | what | seconds |\n|---|---|---|\n| 5 | image | 0.1 |\n| 5 | text | 0.2 |\n| 8 | image | 0.3 |"),
        ("; size, seconds", "| size | seconds |\n|---|---|\n| 5 | 0.1 |\n| 5 | 0.2 |\n| 8 | 0.3 |"),
        ("; seconds by size and what", "| size | image | text |\n|---|---|---|\n| 5 | 0.1 | 0.2 |\n| 8 | 0.3 |  |"),
    ],
)  # fmt: skip
def test_a_table_goes_into_its_place(view: str, table: str, tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    lines = [json.dumps({"table": "Seconds per picture, warm", "shown": shown(row)}) for row in ROWS]
    file.write_text("\n".join(lines), encoding="utf-8")
    begin, end = f"<!-- table: Seconds per picture{view} -->\n", "<!-- end of table -->"
    other = "<!-- table: Another -->\nstays\n<!-- end of table -->"
    new = figures.replace_tables(f"a\n{begin}old\n{end}\n{other}", figures.read_tables([file]))
    assert new == f"a\n{begin}`stylize bench speed`; today; toy-s 1\n\n{table}\n{end}\n{other}"


def test_every_place_is_for_a_table_of_bench() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in TOP.glob("stylecli/bench/*.py"))
    pages = [path.read_text(encoding="utf-8") for path in figures.PAGES]
    titles = {place["title"] for page in pages for place in figures.PLACE.finditer(page)}
    assert len(titles) > 8
    assert [title for title in titles if f'"{title}' not in sources] == []
    assert [page.count("<!-- table: ") for page in pages] == [page.count("<!-- end of") for page in pages]


def test_figures_of_other_weights_are_told() -> None:
    shipped = f"stylerwkv-s {figures.load_manifest()['stylerwkv-s'].version}"
    page = "<!-- table: {} -->\n{}\n<!-- end of table -->\n"
    kept = page.format("Quality", shipped) + page.format("Operators", "no weights")
    old = page.format("Speed", f"{shipped}, stylemamba-s 0") + page.format("Memory", "nothing said")
    assert figures.drop_stale(kept + old).startswith(kept)
    assert figures.drop_stale(kept + old).count(figures.DROPPED) == 2
