"""``stylize bench scale`` on tiny photographs: real runs in processes of their own, a table and a plot."""

import json

import pytest
from PIL import Image

from stylecli.bench.scale import Row, exponent, plot


def test_a_size(stylize, tmp_path):
    done = stylize("bench", "scale", "--megapixels", "0.02", "--json", "-o", "curves.png")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["width"], row["height"]) for row in rows] == [(163, 122)]
    for row in rows:
        assert 0 < row["painting"] < row["seconds"] and 100e6 < row["peak"] < 4 << 30
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (860, 500)


def test_what_the_runs_say_is_passed_on(stylize):
    done = stylize("bench", "scale", "--megapixels", "4", "--memory-limit", "100M")
    assert done.returncode == 4 and b"exit code 4: " in done.stderr and b"of memory" in done.stderr
    assert stylize("bench", "scale", "--megapixels", "four").returncode == 2


@pytest.mark.parametrize("option", ["-o", "--html"])
def test_where_nothing_can_be_written_is_said_before_measuring(stylize, option):
    done = stylize("bench", "scale", option, "missing/curves.png")
    assert done.returncode == 2 and done.stdout == b""
    assert b"missing" in done.stderr and b"not a file in a folder that is there" in done.stderr


def test_the_exponent_of_known_times():
    rows = [Row(1000 * n, 1000, 3.0 * n**2, 1.0, 1 << 30) for n in (1, 2, 8)]
    assert exponent(rows) == pytest.approx(2)
    assert exponent(rows[:1]) is None
    assert plot(rows, 4 << 30).size == (860, 500)
