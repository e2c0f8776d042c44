"""``stylize bench speed`` and the tables of all measurements."""

import pytest
from PIL import Image
from typer.testing import CliRunner

from stylecli.bench import report, speed
from stylecli.bench.plots import line_plot
from stylecli.bench.section import Section, Spread, ratio, take_turns
from stylecli.cli.app import app


def test_spread_and_ratio_by_pairs():
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)
    # The second round was slow for both: the ratio does not see it.
    assert ratio([2, 20], [1, 10]) == Spread(2, 2, 2)


def test_runs_take_turns_after_one_round_unmeasured():
    order = []
    took = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == list("ababab")
    assert {name: len(seconds) for name, seconds in took.items()} == {"a": 2, "b": 2}


def test_every_size_and_network_gets_a_row():
    options = ["--size", "32", "--device", "cpu", "--dtype", "fp32", "--repeats", "1"]
    result = CliRunner().invoke(app, ["bench", "speed", *options, "--markdown"])
    assert result.exit_code == 0, result.output
    assert "| 32 x 32 | image, fp32 |" in result.stdout
    assert "| 32 x 32 | text, fp32 |" in result.stdout
    assert "stylize --help" in result.stdout
    assert f"torch {speed.torch.__version__}" in result.stdout


def test_report_escapes_and_embeds():
    section = Section(
        "x", "a < b", "stylize bench x", ("a|b",), [("<script>",)], [], (("&", Image.new("RGB", (4, 4))),)
    )
    page = report.page([section], {"date": "today"})
    assert "<script>" not in page
    assert "a &lt; b" in page
    assert 'src="data:image/png;base64,' in page
    assert "| <script> |" in report.markdown([section], {"date": "today"})


@pytest.mark.parametrize("logarithmic", [False, True])
def test_plot_draws_every_curve(logarithmic):
    curves = {"one": [(1.0, 2.0), (10.0, 20.0)], "two": [(1.0, 3.0), (100.0, 3.0)]}
    plot = line_plot(curves, "x", "y", logarithmic=logarithmic)
    colours = {colour for _, colour in plot.getcolors(1 << 20)}
    assert {(0xC0, 0x39, 0x2B), (0x1F, 0x77, 0xB4)} <= colours


def test_nothing_to_plot():
    with pytest.raises(ValueError, match="nothing"):
        line_plot({}, "x", "y")
