"""The figures of text-guided painting: the probe, SSIM, convergence."""

import torch
from training_kit import pictures, random_vgg

from stylecli.bench.convergence import VARIANTS, run, section
from stylecli.bench.prompts import Probe, describe, judges
from stylecli.metrics import independent
from stylecli.metrics.vgg import Vgg16


def test_the_probe_tells_classes_apart_whatever_their_size():
    torch.manual_seed(0)
    centres, sizes = torch.randn(4, 30) * 2, (80, 10, 10, 10)
    labels = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    probe = Probe(centres[labels] + torch.randn(len(labels), 30), labels)
    ranks = probe.ranks(centres.repeat(5, 1) + torch.randn(20, 30), torch.arange(4).repeat(5))
    assert float((ranks == 0).float().mean()) > 0.9
    shuffled = probe.ranks(centres, torch.tensor([1, 2, 3, 0]))
    assert (shuffled > 0).all()


def test_convergence_is_measured_and_drawn(tmp_path):
    rows = run(pictures(tmp_path / "photos", 1), photos=1, iterations=2, prompts=("rusty old machine",))
    assert [row.losses for row in rows] == list(VARIANTS)
    assert all(len(row.curve) == 2 and 1 <= row.iterations <= 2 for row in rows)
    assert rows[0].reached == 1  # the plain run reaches its own level
    [(_, plot)] = section(rows, tmp_path).pictures
    assert len(plot.getcolors(1 << 20)) > 5  # four curves on white


def test_two_judges_describe_pictures_of_any_size(tmp_path):
    vgg = Vgg16(random_vgg(tmp_path / "vgg.safetensors", 8))
    seeing = judges(vgg)
    assert len(seeing) == 1 + independent.is_installed()
    images = [torch.rand(3, 300, 256), torch.rand(3, 256, 400)]
    for judge in seeing:
        described = describe(judge, images)
        assert described.shape[0] == 2 and described.isfinite().all()
        assert not torch.allclose(described[0], described[1])
