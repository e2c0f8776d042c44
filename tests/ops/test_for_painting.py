"""What is for painting alone (3 x 3 convolutions with fewer products, statistics and AdaIN in one reading): the same
results as the formulas, and gradients where they are wanted."""

import pytest
import torch

from stylecli.ops import build
from stylecli.ops.adain import adain, adain_reference
from stylecli.ops.conv3x3 import (
    Prepared,
    blocked_weight,
    conv3x3,
    conv3x3_reference,
    enlarged_conv3x3,
    enlarged_conv3x3_reference,
)
from stylecli.ops.depthwise3x3 import depthwise3x3, depthwise3x3_reference
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


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (33, 18)])
@pytest.mark.parametrize(("C", "D"), [(40, 24), (12, 37)])
def test_leaky_relus_around_it_and_a_map_that_is_added(size, C, D):
    x, weight, bias = case(2, C, D, *size)
    added = torch.randn(2, D, *size, generator=torch.Generator().manual_seed(1))
    for around in ((0.2, 1.0, None), (1.0, 0.1, None), (0.2, 0.3, added)):
        y = conv3x3(x, weight, bias, Prepared(), *around)
        torch.testing.assert_close(y.double(), conv3x3_reference(x, weight, bias, *around), rtol=0, atol=1e-4)
    y = enlarged_conv3x3(x, weight, bias, Prepared(), 0.2)
    expected = enlarged_conv3x3_reference(x, weight, bias, 0.2)
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=1e-4)


def test_gradients_of_what_is_added():
    x, weight, bias = case()
    added = torch.zeros(1, 24, 9, 14, requires_grad=True)
    conv3x3(x, weight, bias, Prepared(), 1.0, 1.0, added).sum().backward()
    assert torch.equal(added.grad, torch.ones_like(added))


def test_blocks_of_pixels_give_what_pixels_give():
    x, weight, bias = case(2, 11, 3, 12, 18)
    blocks = torch.nn.functional.pixel_unshuffle(x, 2)
    y = conv3x3(blocks, blocked_weight(weight), bias.repeat_interleave(4), Prepared())
    y = torch.nn.functional.pixel_shuffle(y, 2)
    inside = (..., slice(1, -1), slice(1, -1))  # at the border a block is repeated, not a pixel
    expected = conv3x3_reference(x, weight, bias)
    torch.testing.assert_close(y.double()[inside], expected[inside], rtol=0, atol=1e-4)


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


def adain_case(C=20):
    x = case(B=2, C=C, H=13, W=7)[0]
    mean, std, gain, offset = torch.randn(4, 2, C, 1, 1, generator=torch.Generator().manual_seed(1))
    return x, mean, std.abs() + 0.1, gain, offset


@pytest.mark.parametrize("C", [3, 20, 48])
def test_adain_with_its_limit_and_its_leaky_relu(C):
    given = adain_case(C)
    expected = adain_reference(*given)
    torch.testing.assert_close(adain(*given).double(), expected, rtol=1e-5, atol=1e-4)
    leaky = torch.nn.functional.leaky_relu(expected, 0.2)
    torch.testing.assert_close(adain(*given, None, 0.2).double(), leaky, rtol=1e-5, atol=1e-4)
    x, mean, std, gain, offset = (t.double() for t in given)
    kept = gain * ((x - mean) / std).clamp(-1, 1) + offset
    kept = torch.nn.functional.leaky_relu(kept, 0.2)
    torch.testing.assert_close(adain(*given, 1.0, 0.2).double(), kept, rtol=1e-5, atol=1e-4)


def test_adain_has_gradients():
    given = [t.requires_grad_() for t in adain_case()]
    got = torch.autograd.grad(adain(*given).square().sum(), given)
    expected = torch.autograd.grad(adain_reference(*given).square().sum(), given)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-3, atol=1e-1)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 18)])
@pytest.mark.parametrize("C", [5, 24, 33])
@pytest.mark.parametrize("activation", ["none", "silu", "gelu"])
def test_depthwise_agrees_with_the_formula(size, C, activation):
    x = 4 * case(2, 2 * C, 1, *size)[0]
    weight, bias = torch.randn(C, 1, 3, 3), torch.randn(C)
    for given in (x[:, :C], x[:, C:].contiguous(), x[:, :C].transpose(2, 3).contiguous().transpose(2, 3)):
        y = depthwise3x3(given, weight, bias, activation)
        expected = depthwise3x3_reference(given, weight, bias, activation)
        torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)


def test_depthwise_has_gradients():
    given = [t.requires_grad_() for t in (case(C=9)[0], torch.randn(9, 1, 3, 3), torch.randn(9))]
    got = torch.autograd.grad(depthwise3x3(*given, "gelu").square().sum(), given)
    expected = torch.autograd.grad(depthwise3x3_reference(*given, "gelu").square().sum(), given)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("convolution", "reference"), BOTH)
def test_under_autocast(convolution, reference):
    """Its products are bfloat16 there, which the kernels do not read: NaN came of it."""
    x, weight, bias = case()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        result = convolution(x, weight, bias, Prepared())
    assert (result.double() - reference(x, weight, bias)).abs().max() < 0.2
