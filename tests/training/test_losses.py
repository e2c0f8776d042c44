"""Losses: zero where they should be, and blind to what they should not see."""

import pytest
import torch

from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.paint import guidance
from stylecli.training import losses


@pytest.fixture
def features():
    return torch.randn(2, 5, 8, 9, generator=torch.Generator().manual_seed(0))


def test_content_loss_ignores_scale_and_shift_of_channels(features):
    target = instance_normalised(features)
    assert losses.content_loss(features * 3 + 7, target) < 1e-5
    assert 1.5 < losses.content_loss(torch.randn_like(features), target) < 2.5  # unrelated


def test_style_loss_ignores_where_things_are(features):
    target = statistics(features)
    shuffled = features.flatten(2)[:, :, torch.randperm(72)].view_as(features)
    assert (losses.style_loss(shuffled, target, torch.ones(10)) < 1e-8).all()
    assert (losses.style_loss(features * 2, target, torch.ones(10)) > 0.1).all()


def test_style_loss_is_each_picture_s_own(features):
    target = statistics(features)
    other = torch.cat([features[:1], features[1:] * 5])
    near, far = losses.style_loss(other, target, torch.ones(10))
    assert near < 1e-8 and far > 0.1


def test_feature_difference_is_relative_and_per_image(features):
    other = torch.stack([features[0], torch.zeros_like(features[1])])
    torch.testing.assert_close(
        losses.feature_difference(other, features), torch.tensor([0.0, 1.0]), atol=1e-3, rtol=0
    )


def test_total_variation_of_a_flat_picture_is_zero():
    assert guidance.total_variation(torch.full((1, 3, 8, 8), 0.4)) == 0


def unit(*values):
    return torch.nn.functional.normalize(torch.tensor([values], dtype=torch.float32), dim=-1)


def test_directional_loss_is_zero_along_the_words_and_two_against_them():
    photo, prompt, content = unit(1, 0, 0), unit(0, 1, 0), torch.zeros(1, 3)
    along = prompt - photo
    assert float(guidance.directional_loss(content + along, content, prompt, photo)) == pytest.approx(
        0, abs=1e-6
    )
    assert float(guidance.directional_loss(content - along, content, prompt, photo)) == pytest.approx(
        2, abs=1e-6
    )


def test_masked_directional_loss_leaves_out_what_is_there_already():
    photo, prompt, content = unit(1, 0, 0), unit(0, 1, 0), torch.zeros(2, 3)
    crops = torch.stack([(prompt - photo)[0], (photo - prompt)[0]])
    assert float(guidance.masked_directional_loss(crops, content, prompt, photo)) == pytest.approx(
        1
    )  # (0 + 2) / 2


def test_second_order_loss_looks_at_the_change_since_the_last_iteration():
    photo, prompt, content = unit(1, 0, 0), unit(0, 1, 0), torch.zeros(1, 3)
    direction = guidance.direction(prompt, photo)
    off = torch.tensor([[0.0, 0.0, 1.0]])  # where the last iteration went: astray
    home = (2**0.5) * direction  # as long as the step after it will be
    now = (off + 0.5 * (home - off)).requires_grad_()
    # r = |d| dT - d_before: a step straight there has no loss, though the picture is not there yet.
    straight = off + (now.detach().norm() * direction - off) * 0.5
    good = guidance.second_order_directional_loss(straight, off, content, prompt, photo)
    bad = guidance.second_order_directional_loss(
        off + torch.tensor([[0.0, 0.0, 0.5]]), off, content, prompt, photo
    )
    assert float(good) < 0.1 < 1 < float(bad)
    guidance.second_order_directional_loss(now, off, content, prompt, photo).sum().backward()
    assert now.grad.abs().sum() > 0


def test_only_what_is_out_of_range_costs():
    assert float(guidance.out_of_range(torch.rand(1, 3, 4, 4))) == 0
    assert float(guidance.out_of_range(torch.full((1, 3, 4, 4), 1.25))) == pytest.approx(0.25)
