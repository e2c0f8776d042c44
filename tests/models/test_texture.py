"""What the texture of a picture is, by hand on tiny maps, and what its distance tells apart."""

import pytest
import torch

from stylecli.metrics.lattice import lattice
from stylecli.models.texture import Texture, gram, statistics
from stylecli.paint.guidance import total_variation


def test_gram_is_the_mean_product_of_channels():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]])  # (1, 2, 1, 2)
    assert torch.equal(gram(features), torch.tensor([[[2.5, 6.5], [6.5, 17.0]]]))


def test_distance_is_in_shares_of_the_style():
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    near = Texture.of([a])
    assert near.apart([a]).item() == 0
    # Ten times as strong a style, and a painting of it: the same distance.
    assert near.apart([b]).item() == pytest.approx(Texture.of([10 * a]).apart([10 * b]).item(), rel=1e-4)


def test_texture_sees_what_means_and_deviations_do_not():
    """Two maps with the same channels' means and deviations: once they rise together, once against one another."""
    wave = torch.sin(torch.arange(64.0) / 3).view(1, 1, 8, 8)
    together, against = torch.cat([wave, wave], 1), torch.cat([wave, wave.flip(-1)], 1)
    assert torch.allclose(statistics(together), statistics(against))
    assert Texture.of([together]).apart([against]).item() > 0.1


def test_blend_lies_between():
    maps = [torch.rand(1, 3, 64, 64) for _ in range(2)]
    one, other = (Texture.of([m]) for m in maps)
    mixed = Texture.blend([(one, 0.25), (other, 0.75)])
    rows = [unit * length for unit, length in zip(mixed.units, mixed.lengths, strict=True)]
    assert len(rows) == 2
    assert torch.allclose(rows[1], 0.25 * statistics(maps[0]) + 0.75 * statistics(maps[1]), atol=1e-6)


def test_a_batch_is_its_textures_and_float16_tells_nearly_the_same():
    maps = torch.rand(2, 3, 16, 16)
    both = Texture.batch([Texture.of([m[None]]) for m in maps])
    assert both.apart([maps]).tolist() == pytest.approx([0, 0], abs=1e-10)
    huge = Texture.of([1e4 * maps]).to(torch.float16)  # a Gram matrix of 1e8, which float16 does not hold
    assert huge.apart([1e4 * maps]).tolist() == pytest.approx([0, 0], abs=1e-5)


def test_lattice_of_a_pattern_of_noise_and_of_a_flat_picture():
    pattern = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4).repeat(1, 1, 16, 16)
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert lattice(pattern).item() > 0.9
    assert lattice(noise).item() == pytest.approx(1 / 64, rel=0.3)
    assert lattice(torch.full((1, 3, 64, 64), 0.5)).item() == pytest.approx(0, abs=1e-4)


def test_total_variation():
    assert total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item() == 1
