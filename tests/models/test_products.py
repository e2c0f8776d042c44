"""Sums over a map's places: what torch says of them and of their gradients, in parts and as a whole."""

import pytest
import torch
import torch.nn.functional as F

from stylecli.models.products import Products
from stylecli.models.texture import instance_normalised, statistics


@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])
def test_values_and_gradients_are_torchs(memory):
    features = torch.rand(2, 5, 6, 7).to(memory_format=memory).requires_grad_()
    other = instance_normalised(torch.rand(2, 5, 6, 7))
    towards = torch.rand(2, 5, 5), torch.rand(2, 10)

    def loss(gram, described, structure):
        return (gram * towards[0]).sum() + (described * towards[1]).sum() + 3 * structure.sum()

    flat = features.flatten(2)
    plain = loss(
        flat @ flat.mT / 42,
        statistics(features),
        F.mse_loss(instance_normalised(features), other, reduction="none").mean((1, 2, 3)),
    )
    (wanted,) = torch.autograd.grad(plain, features)
    found = Products.of(features, other)
    ours = loss(found.gram, found.statistics, found.from_structure(other.square().mean((2, 3))))
    assert ours.item() == pytest.approx(plain.item(), rel=1e-5)
    torch.testing.assert_close(torch.autograd.grad(ours, features)[0], wanted, rtol=1e-3, atol=1e-6)


def test_a_map_in_parts():
    features, other = torch.rand(2, 1, 4, 6, 8)
    whole = Products.of(features, other)
    parts = [
        (Products.of(a, b), a.shape[-1] / 8)
        for a, b in zip(features.split([3, 5], -1), other.split([3, 5], -1), strict=True)
    ]
    joined = Products.together(parts)
    for name in ("gram", "mean", "along"):
        torch.testing.assert_close(getattr(joined, name), getattr(whole, name))
