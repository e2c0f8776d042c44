"""Statistics, SSIM and lattice: values known by hand, zero where they should be, gradients that are numbers."""

import pytest
import torch
import torch.nn.functional as F

from stylecli.metrics.lattice import lattice
from stylecli.metrics.ssim import structural_similarity
from stylecli.metrics.statistics import gram, statistics


def test_statistics_are_mean_and_standard_deviation():
    features = torch.randn(2, 5, 8, 9, generator=torch.Generator().manual_seed(0))
    expected = torch.cat([features.mean((2, 3)), features.std((2, 3), correction=0)], 1)
    torch.testing.assert_close(statistics(features), expected, rtol=1e-4, atol=1e-5)


def test_gram_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # (1, 2, 1, 2)
    assert gram(features).tolist() == [[[2.5, 0.5], [0.5, 5.0]]]


def test_structural_similarity_is_one_for_the_same_picture_and_falls_with_noise():
    torch.manual_seed(0)
    photo = F.interpolate(torch.rand(1, 3, 8, 8), 64, mode="bilinear")
    noisy = [(photo + s * torch.randn_like(photo)).clamp(0, 1) for s in (0, 0.05, 0.2)]
    same, little, much = structural_similarity(torch.cat(noisy), photo.expand(3, -1, -1, -1)).tolist()
    assert same == pytest.approx(1)
    assert 1 > little > much > 0


def test_lattice_is_one_for_a_pattern_of_four_pixels_and_a_64th_for_noise():
    generator = torch.Generator().manual_seed(0)
    cell = torch.rand(1, 1, 4, 4, generator=generator)
    pattern = cell.repeat(1, 3, 26, 26)  # 104 x 104: the border of 8 pixels is not looked at
    noise = torch.rand(1, 1, 104, 104, generator=generator).expand(-1, 3, -1, -1)
    pictures = torch.cat([pattern, noise, torch.full_like(pattern, 0.5)])
    # At the reflected border the pattern is not quite itself.
    assert lattice(pictures).tolist() == pytest.approx([1, 1 / 64, 0], abs=0.004)
    wide = pattern[..., :64, :64].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert lattice(wide, 8) > 0.95 > 0.2 + lattice(wide, 4)
    every_three = torch.rand(1, 1, 3, 3, generator=generator).repeat(1, 3, 32, 32)
    assert lattice(every_three) < 0.02  # another period is no lattice of ours


def test_lattice_falls_along_its_gradient():
    generator = torch.Generator().manual_seed(0)
    image, cell = (torch.rand(*shape, generator=generator) for shape in ((2, 3, 64, 64), (1, 1, 4, 4)))
    image = (image + cell.repeat(1, 1, 16, 16)).requires_grad_()
    before = lattice(image)
    before.sum().backward()
    assert image.grad.isfinite().all()
    after = lattice(image.detach() - 0.5 * image.grad / image.grad.abs().max())
    assert (after < before).all()
