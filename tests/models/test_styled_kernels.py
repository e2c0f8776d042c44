"""Convolutions whose kernels a style mixes: every path is the same sum, and a kept mixture never goes stale."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from stylecli.models.layers import StyledConv3x3, StyledEnlargingConv

CODE = 6


def layer(kind, experts=2):
    torch.manual_seed(0)
    made = kind(10, 9, CODE, experts).requires_grad_(False)
    if experts:
        torch.nn.init.normal_(made.bank, std=0.3)
    return made


def by_hand(made, x, code, after=1.0):
    """One picture's kernel: its own, and what each expert adds to every output channel by itself."""
    choices = made.choose(code).view(made.experts, 9)
    bank = made.bank.view(made.experts, 9, 10, 3, 3)
    kernel = made.weight + sum(choices[k][:, None, None, None] * bank[k] for k in range(made.experts))
    if isinstance(made, StyledEnlargingConv):
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, made.bias)
    return F.leaky_relu(y, after)


@pytest.mark.parametrize("kind", [StyledConv3x3, StyledEnlargingConv])
def test_one_style_several_styles_and_all_at_once(kind):
    made, x, code = layer(kind), torch.randn(3, 10, 6, 7), torch.randn(3, CODE)
    wanted = torch.cat([by_hand(made, x[i : i + 1], code[i], 0.2) for i in range(3)])
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(made(x, code, after=0.2), wanted, **close)
    one = torch.cat([by_hand(made, x[i : i + 1], code[0], 0.2) for i in range(3)])
    torch.testing.assert_close(made(x, code[:1].expand(3, -1), after=0.2), one, **close)
    large = F.interpolate(x, scale_factor=2, mode="bilinear") if kind is StyledEnlargingConv else x
    torch.testing.assert_close(made._each_its_own(large, code, 1.0, 0.2), wanted, **close)


@pytest.mark.parametrize("kind", [StyledConv3x3, StyledEnlargingConv])
def test_a_bank_that_has_learned_nothing_changes_nothing(kind):
    made, plain = kind(10, 9, CODE, 2), layer(kind, 0)
    plain.load_state_dict(made.state_dict(), strict=False)
    x, code = torch.randn(2, 10, 6, 7), torch.randn(2, CODE)
    torch.testing.assert_close(made(x, code), plain(x, code))


@pytest.mark.parametrize("kind", [StyledConv3x3, StyledEnlargingConv])
def test_what_is_kept_of_the_last_style_is_made_anew(kind):
    made, x, code = layer(kind), torch.randn(1, 10, 6, 7), torch.randn(4, CODE)
    for i in (0, 0, 1, 2, 3, 0):  # new tensors may lie where old ones lay
        torch.testing.assert_close(
            made(x, code[i : i + 1].clone()), by_hand(made, x, code[i]), rtol=1e-4, atol=1e-4
        )
    other = deepcopy(made)
    for change in (
        lambda: other.bank.mul_(2),
        lambda: other.choose.bias.add_(1),
        lambda: other.weight.mul_(0.5),
        lambda: other.load_state_dict(layer(kind).state_dict()),
    ):
        change()
        torch.testing.assert_close(other(x, code[:1]), by_hand(other, x, code[0]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2])
def test_all_of_it_learns(rows):
    made = layer(StyledConv3x3).requires_grad_(True)
    made(torch.randn(2, 10, 6, 7), torch.randn(rows, CODE).expand(2, -1)).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in made.parameters())
