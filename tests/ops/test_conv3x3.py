"""3 x 3 convolutions with fewer products: the same results as their formula, and gradients where they are wanted."""

import pytest
import torch

from stylecli.ops import build
from stylecli.ops.conv3x3 import (
    Prepared,
    conv3x3,
    conv3x3_reference,
    enlarged_conv3x3,
    enlarged_conv3x3_reference,
)
from stylecli.ops.moments import moments, moments_reference

BOTH = [(conv3x3, conv3x3_reference), (enlarged_conv3x3, enlarged_conv3x3_reference)]


@pytest.fixture(params=["auto", "off"], autouse=True)
def path(request, monkeypatch):
    monkeypatch.setenv("STYLIZE_KERNELS", request.param)
    if request.param == "auto" and build.load() is None:
        pytest.skip("no C++ compiler here")
    return request.param


def case(B=1, C=40, D=24, H=9, W=14):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(B, C, H, W, generator=generator).contiguous(memory_format=torch.channels_last)
    return x, torch.randn(D, C, 3, 3, generator=generator) * 0.1, torch.randn(D, generator=generator)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (4, 4), (5, 8), (33, 18)])
@pytest.mark.parametrize(("C", "D", "B"), [(40, 24, 1), (33, 3, 2), (64, 37, 1), (17, 50, 2), (12, 3, 2)])
@pytest.mark.parametrize(("convolution", "reference"), BOTH)
def test_agrees_with_the_formula(convolution, reference, size, C, D, B):
    x, weight, bias = case(B, C, D, *size)
    y = convolution(x, weight, bias, Prepared())
    torch.testing.assert_close(y.double(), reference(x, weight, bias), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("convolution", "reference"), BOTH)
def test_any_memory_order(convolution, reference):
    x, weight, bias = case(B=2)
    for given in (x.contiguous(), x.transpose(2, 3).contiguous().transpose(2, 3), x[:, :, 1:, 2:]):
        y = convolution(given, weight, bias, Prepared())
        torch.testing.assert_close(y.double(), reference(given, weight, bias), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("convolution", "reference"), BOTH)
def test_gradients_where_anything_learns(convolution, reference):
    x, weight, bias = case()
    for learning in ((x,), (weight, bias), (x, weight, bias)):
        leaves = [t.requires_grad_() for t in learning]
        got = torch.autograd.grad(convolution(x, weight, bias, Prepared()).square().sum(), leaves)
        expected = torch.autograd.grad(reference(x, weight, bias).square().sum(), leaves)
        for g, e in zip(got, expected, strict=True):
            torch.testing.assert_close(g, e, rtol=1e-3, atol=1e-2)
        for t in leaves:
            t.requires_grad_(False)


@pytest.mark.parametrize(("convolution", "reference"), BOTH)
def test_weights_that_were_exchanged_are_seen(convolution, reference):
    x, weight, bias = case()
    prepared = Prepared()
    convolution(x, weight, bias, prepared)
    weight.mul_(-2)
    y = convolution(x, weight, bias, prepared)
    torch.testing.assert_close(y.double(), reference(x, weight, bias), rtol=0, atol=1e-4)
    other = weight.flip(0).contiguous()
    y = convolution(x, other, bias, prepared)
    torch.testing.assert_close(y.double(), reference(x, other, bias), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("convolution", "reference"), BOTH)
def test_weights_that_were_loaded_in_inference_mode(convolution, reference):
    with torch.inference_mode():
        x, weight, bias = case()
        y = convolution(x, weight, bias, Prepared())
    torch.testing.assert_close(y.double(), reference(x, weight, bias), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (40, 33)])
@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_moments_also_far_from_zero(size, far):
    x = case(B=2, H=size[0], W=size[1])[0] + far
    got = torch.cat(moments(x), 1).flatten(1)
    torch.testing.assert_close(got.double(), moments_reference(x), rtol=1e-4, atol=1e-6)


def test_moments_have_gradients():
    x = case()[0].requires_grad_()
    (grad,) = torch.autograd.grad(torch.cat(moments(x), 1).square().sum(), x)
    (expected,) = torch.autograd.grad(moments_reference(x).square().sum(), x)
    torch.testing.assert_close(grad, expected, rtol=1e-3, atol=1e-6)
