"""What becomes of measurements: tables, JSON, Markdown, a page, a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylecli.errors import UsageError

if TYPE_CHECKING:
    from stylecli.bench.section import Section


def can_be_written(path: Path | None) -> Path | None:
    """Said now, and not when everything was measured."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(f"{path}: not a file in a folder that is there")
    return path


def save_plot(section: Section, output: Path | None) -> None:
    if output is not None:
        from stylecli.files.atomic import atomic_file

        with atomic_file(output) as file:
            section.pictures[0][1].save(file, format="PNG")  # type: ignore[arg-type]


def deliver(sections: Sequence[Section], json: bool, markdown: bool, html: Path | None) -> None:
    """Show measurements as asked; ``html`` is written besides."""
    from stylecli.bench import report
    from stylecli.bench.section import machine
    from stylecli.console import print_block, print_json, print_table, print_text

    if html is not None:
        from stylecli.files.atomic import atomic_path

        with atomic_path(html) as part:
            part.write_text(report.page(sections, machine()), encoding="utf-8")
    if json:
        on = machine()
        for section in sections:
            for record, cells in zip(section.records, section.rows, strict=True):
                row = dict(zip(section.headings, cells, strict=True))
                shown = {"by": section.command, "on": on, "row": row}
                print_json({"bench": section.name, "table": section.title, **record, "shown": shown})
    elif markdown:
        print_text(report.markdown(sections, machine()))
    else:
        for section in sections:
            print_block(f"\n{section.title}")
            print_table(section.headings, section.rows)
            for remark in section.remarks:
                print_block(remark)
