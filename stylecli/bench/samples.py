"""What the networks paint, on pictures that the package draws itself: a sheet for reports."""

from __future__ import annotations

from stylecli.bench.section import Section
from stylecli.montage import grid
from stylecli.paint.stylizer import Stylizer
from stylecli.samples import CONTENTS, STYLES

PHRASES = ("Vincent van Gogh style", "ukiyo-e", "watercolor")


def run(device: str = "auto", size: int = 384) -> Section:
    """Paint every drawn scene in three drawn styles and after three phrases."""
    photos = [draw(size) for draw in CONTENTS.values()]
    styles = {name: STYLES[name](size) for name in list(STYLES)[:3]}
    network = Stylizer.from_pretrained(device=device)
    painters = {name: network.encode_style(style) for name, style in styles.items()}
    painters |= {phrase: network.encode_prompt(phrase) for phrase in PHRASES}
    rows = [[None, *styles.values(), *(None for _ in PHRASES)]]
    rows += [[photo, *(paint(photo) for paint in painters.values())] for photo in photos]
    return Section(
        "samples",
        "What the networks paint",
        "stylize bench",
        ("scenes", "styles", "phrases"),
        [(", ".join(CONTENTS), ", ".join(styles), ", ".join(PHRASES))],
        [],
        (
            (
                "Left: as it was. Above: style images; phrases have none.",
                grid(rows, column_labels=["before", *painters]),
            ),
        ),
    )
