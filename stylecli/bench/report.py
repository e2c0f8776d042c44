"""Measurements as Markdown, and as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from io import BytesIO

from PIL import Image

from stylecli.bench.section import Section

_STYLE = """
:root { color-scheme: light dark; --ink: #24221f; --paper: #faf9f6; --line: #d9d5cc; --soft: #6c675f; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceae5; --paper: #1d1c1a; --line: #45423d; --soft: #a39e95; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.25rem; color: var(--ink); background: var(--paper);
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
p, figcaption { color: var(--soft); font-size: .9rem; } code { font-size: .85rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; border: 1px solid var(--line); }
"""


def markdown(sections: Sequence[Section], machine: Mapping[str, str]) -> str:
    """Tables for a README. Pictures are left out: Markdown has nowhere to keep them."""
    lines = ["; ".join(machine.values()) + ".", ""]
    for section in sections:
        lines += [f"### {section.title}", "", f"`{section.command}`", ""]
        lines += ["| " + " | ".join(section.headings) + " |", "|" + " --- |" * len(section.headings)]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in section.rows]
        lines += ["", *section.remarks, ""] if section.remarks else [""]
    return "\n".join(lines)


def page(sections: Sequence[Section], machine: Mapping[str, str]) -> str:
    """The report: machine, tables, plots and sheets, as one HTML page."""
    facts = "".join(f"<dt>{_text(k)}</dt><dd>{_text(v)}</dd>" for k, v in machine.items())
    body = "".join(map(_section, sections))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>stylize bench</title><style>{_STYLE}</style></head><body>"
        f"<h1>stylize bench</h1><dl>{facts}</dl>{body}</body></html>\n"
    )


def _section(section: Section) -> str:
    head = "".join(f"<th>{_text(h)}</th>" for h in section.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in section.rows
    )
    remarks = "".join(f"<p>{_prose(remark)}</p>" for remark in section.remarks)
    figures = "".join(
        f'<figure><img alt="{_text(caption or section.title)}" src="{_data(picture)}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
        for caption, picture in section.pictures
    )
    return (
        f"<h2>{_text(section.title)}</h2><p><code>{_text(section.command)}</code></p>"
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{remarks}{figures}"
    )


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _prose(text: str) -> str:
    """Text with `code` in it, as in Markdown."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))


def _data(picture: Image.Image) -> str:
    """A picture as a data address: plots as PNG, large sheets as JPEG."""
    photographic = picture.width * picture.height > 600_000
    file = BytesIO()
    if photographic:
        picture.convert("RGB").save(file, "JPEG", quality=88)
    else:
        picture.save(file, "PNG", optimize=True)
    kind = "jpeg" if photographic else "png"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
