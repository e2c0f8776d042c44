"""Contact sheets: pictures in a grid with names beside them.

Needs Pillow alone, so that a bare training machine can draw its sheets with it too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

Colour = tuple[int, int, int]
_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

PAPER: Colour = (250, 249, 246)
INK: Colour = (52, 50, 47)
_ELLIPSIS = "…"


@dataclass(frozen=True)
class _Layout:
    """Where everything goes, in pixels."""

    cell: int
    gap: int
    columns: int
    rows: int
    left: int  # x of the first column of pictures
    top: int  # y of the first row of pictures

    @property
    def size(self) -> tuple[int, int]:
        width = self.left + self.columns * (self.cell + self.gap)
        height = self.top + self.rows * (self.cell + self.gap)
        return width, height

    def corner(self, row: int, column: int) -> tuple[int, int]:
        step = self.cell + self.gap
        return self.left + column * step, self.top + row * step


def grid(
    rows: Sequence[Sequence[Image.Image | None]],
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    *,
    cell: int = 256,
    gap: int | None = None,
    font_size: int | None = None,
    title: str | None = None,
    background: Colour = PAPER,
    ink: Colour = INK,
) -> Image.Image:
    """Draw ``rows`` of pictures as one RGB picture.

    Every picture is fitted into a square of ``cell`` pixels with its proportions kept and is never
    enlarged; ``None`` leaves a cell empty, and rows may be of different lengths. Labels that do not fit are
    shortened in the middle, so that both the beginning and the end of a file name stay readable. Row
    labels stand to the left, column labels above.

    Raises ValueError when there is nothing to draw or when the number of labels does not match.
    """
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ValueError("a contact sheet needs at least one picture")
    _check_labels("row", row_labels, len(rows))
    _check_labels("column", column_labels, columns)
    if cell < 8:
        raise ValueError(f"cell must be at least 8 pixels, not {cell}")

    gap = max(2, cell // 24) if gap is None else gap
    font_size = max(10, cell // 14) if font_size is None else font_size
    font: _Font = ImageFont.load_default(font_size)
    title_font: _Font = ImageFont.load_default(round(font_size * 1.4))

    line = round(font_size * 1.5)
    title_height = round(line * 1.6) if title else 0
    left = gap
    if row_labels and any(row_labels):
        widest = max(font.getlength(label) for label in row_labels)
        left += min(round(widest) + 1, cell) + gap
    top = gap + title_height + (line if column_labels and any(column_labels) else 0)
    layout = _Layout(cell=cell, gap=gap, columns=columns, rows=len(rows), left=left, top=top)

    sheet = Image.new("RGB", layout.size, background)
    draw = ImageDraw.Draw(sheet)
    if title:
        text = _shorten(title, title_font, layout.size[0] - 2 * gap)
        draw.text((gap, gap), text, fill=ink, font=title_font, anchor="la")
    for column, label in enumerate(column_labels or ()):
        x, y = layout.corner(0, column)
        text = _shorten(label, font, cell)
        draw.text((x + cell // 2, y - line // 2), text, fill=ink, font=font, anchor="mm")
    for index, label in enumerate(row_labels or ()):
        x, y = layout.corner(index, 0)
        text = _shorten(label, font, left - 2 * gap)
        draw.text((x - gap, y + cell // 2), text, fill=ink, font=font, anchor="rm")
    for index, row in enumerate(rows):
        for column, picture in enumerate(row):
            if picture is not None:
                fitted = _fit(picture, cell)
                x, y = layout.corner(index, column)
                _paste(sheet, fitted, (x + (cell - fitted.width) // 2, y + (cell - fitted.height) // 2))
    return sheet


def gallery(
    pictures: Sequence[tuple[str, Image.Image]],
    *,
    columns: int | None = None,
    cell: int = 256,
    gap: int | None = None,
    font_size: int | None = None,
    background: Colour = PAPER,
    ink: Colour = INK,
) -> Image.Image:
    """Draw (caption, picture) pairs in reading order, each caption under its picture, as one RGB picture.

    Pictures are fitted as in ``grid``. Cells are as high as the highest fitted picture needs, so that a
    gallery of wide photographs has no empty bands. Unless ``columns`` is given, the sheet
    comes out a little wider than high, with as full a last row as possible. Raises ValueError when there
    is nothing to draw.
    """
    if not pictures:
        raise ValueError("a gallery needs at least one picture")
    if columns is not None and columns < 1:
        raise ValueError(f"a gallery needs at least one column, not {columns}")
    fitted = [(caption, _fit(picture, cell)) for caption, picture in pictures]
    width = max(picture.width for _, picture in fitted)
    height = max(picture.height for _, picture in fitted)
    gap = max(2, cell // 24) if gap is None else gap
    font_size = max(10, cell // 14) if font_size is None else font_size
    font: _Font = ImageFont.load_default(font_size)
    line = round(font_size * 1.5)
    if columns is None:
        columns = _columns(len(fitted), 1.4 * (height + line) / width)
    columns = min(columns, len(fitted))
    rows = math.ceil(len(fitted) / columns)

    step_x, step_y = width + gap, height + line + gap
    sheet = Image.new("RGB", (gap + columns * step_x, gap + rows * step_y), background)
    draw = ImageDraw.Draw(sheet)
    for index, (caption, picture) in enumerate(fitted):
        x = gap + index % columns * step_x
        y = gap + index // columns * step_y
        _paste(sheet, picture, (x + (width - picture.width) // 2, y + (height - picture.height) // 2))
        text = _shorten(caption, font, width)
        draw.text((x + width // 2, y + height + line // 2), text, fill=ink, font=font, anchor="mm")
    return sheet


def _columns(count: int, shape: float) -> int:
    """Columns for ``count`` cells on a sheet ``shape`` times as many cells wide as high, or nearly so."""
    ideal = max(1, round(math.sqrt(count * shape)))
    near = [ideal, *(columns for columns in (ideal - 1, ideal + 1) if columns > 1)]
    return min(near, key=lambda columns: -count % columns)  # the fewest empty cells; the ideal among equals


def inset(picture: Image.Image, small: Image.Image, *, share: float = 0.26) -> Image.Image:
    """A copy of ``picture`` with ``small``, framed, in its lower left corner: a result and its style.

    The longer side of ``small`` becomes ``share`` of the shorter side of ``picture``.
    """
    both = _on_paper(picture)
    side = max(4, round(min(both.size) * share))
    frame = max(1, side // 24)
    stamp = ImageOps.expand(_fit(_on_paper(small), side), border=frame, fill=PAPER)
    both.paste(stamp, (0, both.height - stamp.height))
    return both


def _on_paper(picture: Image.Image) -> Image.Image:
    """As RGB, transparent parts like the sheet around it."""
    sheet = Image.new("RGB", picture.size, PAPER)
    _paste(sheet, _fit(picture, max(picture.size)), (0, 0))
    return sheet


def _check_labels(kind: str, labels: Sequence[str] | None, expected: int) -> None:
    if labels is not None and len(labels) != expected:
        raise ValueError(f"{len(labels)} {kind} labels for {expected} {kind}s")


def _fit(picture: Image.Image, cell: int) -> Image.Image:
    """``picture`` as RGB or RGBA, no larger than ``cell`` on either side."""
    has_alpha = picture.mode in ("LA", "RGBA", "PA") or "transparency" in picture.info
    fitted = picture.convert("RGBA" if has_alpha else "RGB")
    if max(fitted.size) <= cell:
        return fitted
    scale = cell / max(fitted.size)
    size = (max(1, round(fitted.width * scale)), max(1, round(fitted.height * scale)))
    return fitted.resize(size, Image.Resampling.LANCZOS)


def _paste(sheet: Image.Image, fitted: Image.Image, corner: tuple[int, int]) -> None:
    """Transparent parts let the paper show."""
    sheet.paste(fitted, corner, fitted if fitted.mode == "RGBA" else None)


def _shorten(text: str, font: _Font, width: int) -> str:
    """``text`` itself where it fits into ``width`` pixels, else with its middle left out."""
    text = " ".join(text.split())  # a line break in a label would break Pillow's one-line anchors
    if font.getlength(text) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        head = (keep + 1) // 2
        shorter = text[:head] + _ELLIPSIS + text[len(text) - (keep - head) :]
        if font.getlength(shorter) <= width:
            return shorter
    return _ELLIPSIS
