"""What the texture of a picture is, by hand on tiny maps, and what its distance tells apart."""

import pytest
import torch

from stylecli.models.texture import MapTexture, Texture, gram, lattice, total_variation


def test_gram_is_the_mean_product_of_channels():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]])  # (1, 2, 1, 2)
    assert torch.equal(gram(features), torch.tensor([[[2.5, 6.5], [6.5, 17.0]]]))


def test_distance_is_in_shares_of_the_style():
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    near, far = MapTexture.of(a), MapTexture.of(b)
    assert near.distance(near).item() == 0
    # Ten times as strong a style, and a painting of it: the same distance.
    assert far.distance(near).item() == pytest.approx(
        MapTexture.of(10 * b).distance(MapTexture.of(10 * a)).item(), rel=1e-4
    )


def test_texture_sees_what_means_and_deviations_do_not():
    """Two maps with the same channels' means and deviations: once they rise together, once against one another."""
    wave = torch.sin(torch.arange(64.0) / 3).view(1, 1, 8, 8)
    together = MapTexture.of(torch.cat([wave, wave], 1))
    against = MapTexture.of(torch.cat([wave, wave.flip(-1)], 1))
    assert torch.allclose(together.mean, against.mean) and torch.allclose(together.std, against.std)
    assert against.distance(together).item() > 0.1


def test_blend_lies_between():
    one, other = (Texture.of(torch.rand(1, 3, 64, 64), lambda x: [x]) for _ in range(2))
    mixed = Texture.blend([(one, 0.25), (other, 0.75)])
    assert len(mixed.maps) == 2  # full and half size
    assert torch.allclose(mixed.maps[0].mean, 0.25 * one.maps[0].mean + 0.75 * other.maps[0].mean)


def test_lattice_of_a_pattern_of_noise_and_of_a_flat_picture():
    pattern = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4).repeat(1, 1, 16, 16)
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert lattice(pattern).item() > 0.9
    assert lattice(noise).item() == pytest.approx(1 / 64, rel=0.3)
    assert lattice(torch.full((1, 3, 64, 64), 0.5)).item() == pytest.approx(0, abs=1e-4)


def test_total_variation():
    assert total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item() == 1
