"""Losses of texture: values by hand on tiny maps, blind to what they should not see, gradients that are numbers."""

import pytest
import torch
from torch.nn import functional as F

from stylecli.training import losses


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shuffled(features):
    """The same vectors at other places."""
    order = torch.randperm(features[0, 0].numel(), generator=torch.Generator().manual_seed(1))
    return features.flatten(2)[..., order].view_as(features)


EACH = {
    "gram": lambda output, style: losses.gram_loss([output], [style]),
    "sliced": lambda output, style: losses.sliced_wasserstein_loss(output, style, seed=0),
    "sorted": losses.sorted_loss,
}


@pytest.mark.parametrize("name", EACH)
def test_they_compare_what_there_is_and_not_where(name):
    """Zero for the style itself and for its vectors at other places; each picture has its own; a style of twice the
    size and the same texture is the same style."""
    loss, style = EACH[name], maps(2, 5, 8, 8)
    nothing = 1.1e-3 if name == "gram" else 1e-6  # the root of what keeps it away from zero
    assert (loss(style, style) < nothing).all()
    assert (loss(shuffled(style), style) < nothing).all()
    near, far = loss(torch.cat([style[:1], 3 * style[1:]]), style)
    assert near < nothing and far > 0.5
    doubled = style.repeat(1, 1, 2, 2)
    assert (loss(style, doubled) < 0.03).all()
    assert (loss(doubled, style) < 0.03).all()


@pytest.mark.parametrize("name", EACH)
def test_strong_styles_do_not_drown_weak_ones(name):
    output, style = maps(1, 4, 8, 8), maps(1, 4, 8, 8, seed=1)
    torch.testing.assert_close(
        EACH[name](100 * output, 100 * style), EACH[name](output, style), rtol=1e-3, atol=1e-4
    )


def test_gram_loss_by_hand():
    output, style = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 1.0]]]])  # (1, 1, 1, 2)
    # Means of squares 2.5 and 5, means 1.5 and 2, deviations 0.5 and 1.
    expected = (2.5**2 / 5**2 + (0.5**2 + 0.5**2) / (2**2 + 1**2)) ** 0.5
    assert losses.gram_loss([output], [style]).item() == pytest.approx(expected, rel=1e-3)
    twice = losses.gram_loss([output, output], [style, style]).item()
    assert twice == pytest.approx(2**0.5 * expected, rel=1e-3)


def test_lattice_loss_sees_periods_of_4_8_and_16_and_no_noise():
    noise = 0.2 + 0.6 * torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    pictures = torch.cat([noise, *(noise[..., :p, :p].repeat(1, 1, 128 // p, 128 // p) for p in (4, 8, 16))])
    none, *found = losses.lattice_loss(pictures).tolist()
    assert none < 0.01
    assert found[2] == pytest.approx(1, abs=0.4) and found[0] > found[1] > found[2]  # 4 is 8 and 16, too
    assert losses.lattice_loss(pictures[..., :32, :32])[1] > 0.8  # where nothing wider fits in
    grid = (0.5 * pictures[1:] + 0.5 * noise).requires_grad_()
    before = losses.lattice_loss(grid)
    before.sum().backward()
    after = losses.lattice_loss(grid.detach() - 0.1 * grid.grad / grid.grad.abs().max())
    assert (after < before).all()


def test_gram_loss_sees_which_features_occur_together():
    style = torch.eye(2).view(1, 2, 1, 2)  # either the one or the other
    together = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(1, 2, 1, 2)  # of the same means and deviations
    assert losses.gram_loss([together], [style]) > 0.5


def test_sorted_losses_by_hand():
    output, style = torch.tensor([[[[4.0, 0.0]]]]), torch.tensor([[[[1.0, 3.0]]]])
    # Sorted (0, 4) against (1, 3), over the mean square 5 of the style.
    assert losses.sorted_loss(output, style).item() == pytest.approx(1 / 5, rel=1e-3)
    # With a single channel every direction is that channel or its negative.
    assert losses.sliced_wasserstein_loss(output, style, 0).item() == pytest.approx(1 / 5, rel=1e-3)


def test_sliced_wasserstein_repeats_with_its_seed():
    a, b = maps(1, 6, 4, 4), maps(1, 6, 4, 4, seed=1)
    one, two, other = (losses.sliced_wasserstein_loss(a, b, seed) for seed in (0, 0, 1))
    assert one == two != other


def test_local_loss_by_hand():
    """Every place attends to one place of the style: the mean is that place's, the deviation nothing."""
    content = 100 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).view(1, 2, 1, 2)
    style = torch.tensor([[5.0, 1.0], [2.0, 4.0]]).view(1, 2, 1, 2)
    style = torch.cat([style, style], 3)  # twice the size
    # Place 0 resembles the style's place 0 (first channel high, second low), and place 1 its place 1.
    wanted = torch.tensor([[5.0, 1.0], [2.0, 4.0]]).view(1, 2, 1, 2)
    soft = losses.local_loss(wanted, content, style).item()
    swapped = losses.local_loss(wanted.flip(3), content, style).item()
    # Two channels normalised to 1 and -1: logits 2 and -2, so that 1.8 % of the attention goes astray.
    p = 1 / (1 + torch.tensor(-4.0).exp().item())
    mean = [p * 5 + (1 - p) * 1, p * 2 + (1 - p) * 4]
    deviation = [(p * 25 + (1 - p) * 1 - mean[0] ** 2) ** 0.5, (p * 4 + (1 - p) * 16 - mean[1] ** 2) ** 0.5]
    off = [5 - (mean[0] + deviation[0]), 2 - (mean[1] - deviation[1])]  # at place 0; place 1 mirrors it
    mean = [(1 - p) * 5 + p * 1, (1 - p) * 2 + p * 4]
    off += [1 - (mean[0] - deviation[0]), 4 - (mean[1] + deviation[1])]
    expected = sum(o * o for o in off) / 4 / ((25 + 1 + 4 + 16) / 4)
    assert soft == pytest.approx(expected, rel=1e-2)
    assert swapped > 10 * soft


def test_local_loss_of_large_maps_needs_little_memory():
    large = maps(1, 3, 40, 40)
    assert losses.local_loss(large, large, large, places=25).isfinite().all()
    assert losses._at_most(large, 25).shape[2:] == (5, 5)


def test_contrast_loss_by_hand():
    own, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.0, 1.0]]])
    at_home, away = (losses.contrast_loss(x, own, other, 1.0).item() for x in (own, other[:, 0]))
    e = torch.tensor(1.0).exp().item()
    assert at_home == pytest.approx(-torch.tensor(e / (e + 1)).log().item())
    assert away == pytest.approx(-torch.tensor(1 / (e + 1)).log().item())


def test_lighter_lows_keep_what_is_fine():
    board = torch.ones(1, 1, 32, 32)
    board[..., ::2] = -1  # nothing coarse in it
    coarse = torch.full((1, 1, 32, 32), 7.0)
    found = losses.lighter_lows(board + coarse, 0.25)
    torch.testing.assert_close(
        found, board + 0.25 * coarse, rtol=0, atol=0.12
    )  # 9 places hold one more of a kind
    assert losses.lighter_lows(board, 1) is board


@pytest.mark.parametrize(
    "loss",
    [
        *EACH.values(),
        lambda output, style: losses.local_loss(output, maps(*output.shape, seed=2), style),
        lambda output, style: losses.contrast_loss(
            output.flatten(1), style.flatten(1), maps(2, 3, output[0].numel())
        ),
        lambda output, style: losses.sorted_loss(losses.lighter_lows(output, 0.5), style),
    ],
    ids=[*EACH, "local", "contrast", "lighter lows"],
)
@pytest.mark.parametrize("kind", ["random", "the style itself", "flat"])
def test_a_step_along_the_gradient_lessens_them(loss, kind):
    style = maps(2, 4, 6, 6, seed=1)
    start = {"random": maps(2, 4, 6, 6), "the style itself": style.clone(), "flat": torch.zeros(2, 4, 6, 6)}[
        kind
    ]
    output = start.requires_grad_()
    before = loss(output, style)
    assert before.shape == (2,)
    before.sum().backward()
    assert output.grad.isfinite().all()
    if kind == "random":
        step = 1e-2 * F.normalize(output.grad, dim=(1, 2, 3))
        assert (loss(output.detach() - step, style) < before).all()
