"""The figures of text-guided painting: the probe, SSIM, convergence."""

import pytest
import torch
from training_kit import pictures

from stylecli.bench.convergence import VARIANTS, draw, run
from stylecli.bench.prompts import Probe, ssim


def test_the_probe_tells_classes_apart_whatever_their_size():
    torch.manual_seed(0)
    centres, sizes = torch.randn(4, 30) * 2, (80, 10, 10, 10)
    labels = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    probe = Probe(centres[labels] + torch.randn(len(labels), 30), labels)
    ranks = probe.ranks(centres.repeat(5, 1) + torch.randn(20, 30), torch.arange(4).repeat(5))
    assert float((ranks == 0).float().mean()) > 0.9
    shuffled = probe.ranks(centres, torch.tensor([1, 2, 3, 0]))
    assert (shuffled > 0).all()


def test_ssim_is_one_for_the_same_picture_and_falls_with_noise():
    torch.manual_seed(0)
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), 64, mode="bilinear")[0]
    noisy = [ssim((photo + s * torch.randn_like(photo)).clamp(0, 1), photo) for s in (0.05, 0.2)]
    assert ssim(photo, photo) == pytest.approx(1)
    assert 1 > noisy[0] > noisy[1] > 0


def test_convergence_is_measured_and_drawn(tmp_path):
    rows = run(pictures(tmp_path / "photos", 1), photos=1, iterations=2, prompts=("rusty old machine",))
    assert [row.losses for row in rows] == list(VARIANTS)
    assert all(len(row.curve) == 2 and 1 <= row.iterations <= 2 for row in rows)
    assert rows[0].reached == 1  # the plain run reaches its own level
    assert draw(rows).size == (720, 420)
