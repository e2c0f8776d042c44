"""docs/formats.md says what the tests' tables say; ``python tests/media/test_formats_page.py`` prints its tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_carrying import KEEPS
from test_signalling import CHUNKS
from test_tiff import FLOATS, RAW_HEADS

from stylecli.media import Picture, read_picture, write_picture
from stylecli.media.picture import Frame

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
SUFFIXES = ("jpg", "png", "tif", "webp", "avif", "gif", "bmp", "jp2", "tga", "ppm")
HOLDS = {  # what becomes of pixels -> the formats that keep it
    "16 bits": {"png", "tif"},
    "transparency": {"png", "tif", "webp", "avif", "jp2", "tga"},
    "animation": {"png", "webp", "avif", "gif"},
    "pages": {"tif"},
    "exact colours": {"png", "tif", "bmp", "jp2", "tga", "ppm"},
}
OTHERWISE = {
    "16 bits": "dithered to 8",
    "transparency": "laid on white; GIF: on or off",
    "animation": "first frame, named",
    "pages": "first page, named",
    "exact colours": "WebP: with `--quality 100`, or from a lossless WebP; GIF: 256 colours",
}
CARRIED = {
    "exif": ("EXIF, text as it is (UTF-8)", "named"),
    "xmp": ("XMP", "named"),
    "iptc": ("IPTC", "named"),
    "comment": ("comment", "as EXIF UserComment, else named"),
    "texts": ("PNG's texts", "Author, Copyright, Description, Title as EXIF; the others named"),
    "icc": ("profile, and colours in it", "sRGB"),
    "dpi": ("resolution", ""),
}
MEANING = {
    "wide": "converted for painting; the result in that space, with a profile",
    "light": "converted for painting; the result in that space, with a profile",
    "plain": "sRGB",
}


def example() -> tuple[Picture, np.ndarray, np.ndarray]:
    """A picture, its pixels with 16 bits, and an alpha for it."""
    y, x = np.mgrid[0:24, 0:32]
    words = np.stack([x * 2000, y * 2500, x * y * 80], -1).astype(np.uint16)
    return Picture((words >> 8).astype(np.uint8)), words, (x * 8).astype(np.uint8)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("what", HOLDS)
def test_what_becomes_of_pixels(tmp_path: Path, suffix: str, what: str) -> None:
    plain, words, alpha = example()
    given = {
        "16 bits": replace(plain, pixels=words),
        "transparency": replace(plain, alpha=alpha),
        "animation": replace(plain, more=(Frame(255 - plain.pixels, None, 90.0),), duration=90.0),
        "pages": replace(plain, pages=(replace(plain, pixels=255 - plain.pixels),)),
        "exact colours": plain,
    }[what]
    notices = write_picture(given, tmp_path / f"a.{suffix}")
    got = read_picture(tmp_path / f"a.{suffix}", animated=True)
    kept = {
        "16 bits": got.pixels.dtype == np.uint16,
        "transparency": got.alpha is not None and len(np.unique(got.alpha)) > 2,
        "animation": len(got.more) == 1,
        "pages": len(got.pages) == 1,
        "exact colours": np.array_equal(got.pixels, plain.pixels),
    }[what]
    assert kept == (suffix in HOLDS[what])
    if what in ("animation", "pages") and not kept:
        assert any("written" in line for line in notices)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def tables() -> list[str]:
    kinds = [f".{suffix}" for suffix in SUFFIXES]
    pixels = [
        [what, *("kept" if suffix in keeping else "" for suffix in SUFFIXES), OTHERWISE[what]]
        for what, keeping in HOLDS.items()
    ]
    beside = [
        [name, *("kept" if what in KEEPS.get(suffix, ()) else "" for suffix in SUFFIXES), elsewhere]
        for what, (name, elsewhere) in CARRIED.items()
    ]
    colours = [[name, MEANING[kind]] for name, (_, kind) in CHUNKS.items()]
    floats = [[name, ", ".join(words) or "as it is"] for name, (_, _, words) in FLOATS.items()]
    refused = [
        [Path(name).suffix, f"{word}: named, with what helps"] for name, (_, word) in RAW_HEADS.items()
    ]
    return [
        _table(["pixels", *kinds, "elsewhere"], pixels),
        _table(["beside the pixels", *kinds, "elsewhere"], beside),
        _table(["a PNG says", "its colours"], colours),
        _table(["floats", "what is said of them"], floats),
        _table(["file", "refused"], list(map(list, dict.fromkeys(map(tuple, refused))))),
    ]


@pytest.mark.parametrize("number", range(5))
def test_the_page_agrees(number: int) -> None:
    assert tables()[number] in PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    import sys

    sys.stdout.write("\n\n".join(tables()) + "\n")
