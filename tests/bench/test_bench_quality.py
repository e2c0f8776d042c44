"""The yardstick of quality, on pictures whose figures are known."""

import json

import pytest
import torch
from training_kit import pictures, random_vgg
from typer.testing import CliRunner

from stylecli.bench import baselines
from stylecli.bench.quality import Yardstick
from stylecli.cli.app import app
from stylecli.metrics.statistics import statistics
from stylecli.metrics.vgg import Vgg16


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    return random_vgg(tmp_path_factory.mktemp("vgg") / "vgg.safetensors")


def scenes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator) * torch.rand(count, 3, 1, 1, generator=generator)
    return torch.nn.functional.interpolate(coarse, 64, mode="bicubic").clamp(0, 1)


def test_untouched_photographs_and_the_styles_themselves_have_the_scores_that_they_must_have(vgg):
    contents, styles = scenes(2, 0), scenes(3, 1)
    yardstick = Yardstick(Vgg16(vgg), contents, styles)
    untouched = yardstick.score("untouched", lambda i, j: contents[i])
    assert untouched.style_ratio == pytest.approx(1, abs=1e-3)
    assert untouched.content_cosine == pytest.approx(1, abs=1e-3)
    assert untouched.ssim == pytest.approx(1, abs=1e-3)
    copied = yardstick.score("the style itself", lambda i, j: styles[j])
    assert copied.style_ratio < 0.01
    assert copied.retrieval == 1
    assert copied.content_cosine < 0.9


def test_baselines_come_nearer_to_the_style(vgg):
    network, photo, style = Vgg16(vgg), scenes(1, 0), scenes(1, 1)

    def far(image):
        seen, wanted = (statistics(network(x, ("3_1",))["3_1"]) for x in (image, style))
        return float((seen - wanted).square().mean())

    for method in (baselines.gatys, baselines.adain):
        painted = method(network, photo, style, iterations=15)
        assert 0 <= float(painted.min()) <= float(painted.max()) <= 1
        assert far(painted) < 0.95 * far(photo)


def test_command_writes_a_page_that_needs_nothing_beside_it(vgg, tmp_path):
    photos, styles, page = (
        pictures(tmp_path / "photos", 2),
        pictures(tmp_path / "styles", 2),
        tmp_path / "r.html",
    )
    asked = ["bench", "quality", "--photographs", str(photos), "--styles", str(styles), "--vgg", str(vgg)]
    result = CliRunner().invoke(app, [*asked, "--most", "1", "--size", "64", "--json", "--html", str(page)])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert {"stylize image", "stylize image --strength 0.5"} <= {r["what"] for r in records}
    assert all(0 < r["lattice"] < 1 for r in records)  # at their own size, not at 256 x 256
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 2
    assert "http" not in text.replace("http-equiv", "")  # no address: it opens offline
