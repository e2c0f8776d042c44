"""Nothing shows where strips met: a detector of seams on twenty paintings, and on one that does have seams."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stylecli.paint.stylizer import Stylizer
from stylecli.samples import CONTENTS, STYLES

ROWS, MARGIN = 48, 16  # of a strip; above the picture, cut off again
HEIGHT, WIDTH = 192, 96
BORDERS = range(ROWS - MARGIN, HEIGHT, ROWS)


def seam(picture):
    """How much more neighbouring rows differ at the borders of strips than around them: 1 is no more."""
    steps = np.abs(np.diff(picture.astype(np.float64), axis=0)).mean((1, 2))  # of row y to row y + 1
    at = [steps[y - 1] for y in BORDERS]
    around = [np.delete(steps[y - 8 : y + 7], 7).mean() for y in BORDERS]
    return sum(at) / sum(around)


@pytest.fixture(scope="module")
def photos():
    scenes = [np.asarray(drawing(HEIGHT))[:, :WIDTH] for drawing in CONTENTS.values()]
    slope = np.linspace(60, 190, HEIGHT)[:, None, None] + np.linspace(-40, 40, WIDTH)[:, None] * np.ones(3)
    return [*scenes, slope.astype(np.uint8)]


@pytest.fixture(scope="module")
def painters():
    network = Stylizer.from_pretrained("stylerwkv-s", tile=ROWS)
    return [network.encode_style(drawing(96)) for drawing in list(STYLES.values())[:5]]


def test_twenty_paintings_have_no_seams(photos, painters):
    found = [seam(painter(photo)) for photo in photos for painter in painters]
    assert len(found) == 20 and max(found) < 1.5, found
    assert np.mean(found) < 1.1, found


def test_the_detector_finds_seams(photos, painters):
    """Strips painted by themselves, as other tools do."""
    ends = [0, *BORDERS, HEIGHT]
    whole = [replace(painter, tile=0) for painter in painters[:3]]
    found = [
        seam(np.concatenate([painter(photo[a:b]) for a, b in pairwise(ends)]))
        for painter, photo in zip(whole, photos, strict=False)
    ]
    assert min(found) > 1.5, found
