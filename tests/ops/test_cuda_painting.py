"""The CUDA kernels that are for painting alone, run on the CPU as in test_cuda.py, beside their float64 formulas."""

import cuda_kit
import pytest
import torch
import torch.nn.functional as F
from cuda_kit import LIMITS, TYPES, error, guarded_call, guarded_map

from stylecli.ops import border, cuda, gates, painting_cuda
from stylecli.ops.adain import adain, adain_reference
from stylecli.ops.depthwise3x3 import depthwise3x3, depthwise3x3_reference
from stylecli.ops.moments import EPS, mean_std, moments, moments_reference

compiled, on_host = cuda_kit.compiled, cuda_kit.on_host  # fixtures
SIZES = [(1, 1), (1, 9), (33, 18)]
CHANNELS = [1, 5, 12, 24, 40, 48, 80]


class KernelOf:
    """The calls of ``painting_cuda``, each with its kernels: ``kernel_of.adain(x, ...)``."""

    def __getattr__(self, operator):
        def call(*arguments):
            return getattr(painting_cuda, operator)(cuda.load(operator, None), *arguments)

        return call


kernel_of = KernelOf()


def case(C, size, dtype, B=2):
    random = torch.Generator().manual_seed(0)
    return torch.randn(B, C, *size, generator=random).to(dtype)


def moments_of(x, shift=0):
    return torch.cat(guarded_map(kernel_of.moments, x, EPS, shift=shift)[:2], 1).flatten(1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("C", CHANNELS)
@pytest.mark.parametrize("size", SIZES)
def test_moments(on_host, size, C, dtype):
    x = 3 + case(C, size, dtype)
    got, expected = moments_of(x), moments_reference(x)
    assert got.dtype == torch.float32
    for part, wanted in zip(got.chunk(2, 1), expected.chunk(2, 1), strict=True):
        assert error(part, wanted) < 1e-5 or wanted.abs().max() == part.abs().max() == 0
    std = kernel_of.moments(x, EPS)[2].flatten(1)
    assert error(std, (expected.chunk(2, 1)[1] + EPS).sqrt()) < 1e-5


@pytest.mark.parametrize("C", [5, 48])
def test_moments_far_from_zero_and_with_one_odd_place(on_host, C):
    """E[x^2] - E[x]^2 loses all digits of the first; the odd place is what a thread begins with."""
    x = case(C, (60, 70), torch.float32)
    odd = x.clone()
    odd[:, :, 0, 0] = 1000
    for y in (x + 1000, odd):
        assert error(moments_of(y)[:, C:], moments_reference(y)[:, C:]) < 1e-5


def test_moments_of_many_chunks(on_host, monkeypatch):
    """More than `combine` has segments, the last one short, and threads of several tokens."""
    x = 50 + case(40, (70, 61), torch.float32, B=1)
    for blocks in (3, 100, 10_000):
        monkeypatch.setattr(painting_cuda, "_BLOCKS", blocks)
        assert error(moments_of(x), moments_reference(x)) < 1e-5


@pytest.mark.parametrize("dtype", TYPES)
def test_more_channels_than_threads(on_host, dtype):
    """So that blocks stand side by side over them; some of their threads are left over."""
    for C in (257, 2056):
        x = case(C, (2, 3), dtype)
        assert error(moments_of(x), moments_reference(x)) < 1e-5
        parameters = adain_parameters(C)
        y = guarded_map(lambda x, *p: kernel_of.adain(x, p, None, 1.0), x, *parameters)
        assert error(y, adain_reference(x, *parameters)) < LIMITS[dtype]


def adain_parameters(C, B=2):
    mean, std, gain, offset = torch.randn(4, B, C, 1, 1, generator=torch.Generator().manual_seed(1))
    return mean, std.abs() + 0.1, gain, offset


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("C", CHANNELS)
@pytest.mark.parametrize("size", SIZES)
def test_adain(on_host, size, C, dtype):
    x, parameters = case(C, size, dtype), adain_parameters(C)

    def call(limit, slope):
        return guarded_map(lambda x, *p: kernel_of.adain(x, p, limit, slope), x, *parameters)

    y = call(None, 1.0)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
    assert error(y, adain_reference(x, *parameters)) < LIMITS[dtype]
    mean, std, gain, offset = (t.double() for t in parameters)
    expected = F.leaky_relu(gain * ((x.double() - mean) / std).clamp(-1, 1) + offset, 0.2)
    assert error(call(1.0, 0.2), expected) < LIMITS[dtype]


@pytest.mark.parametrize("dtype", TYPES)
def test_adain_of_several_tokens_a_thread(on_host, monkeypatch, dtype):
    x, parameters = case(40, (70, 61), dtype), adain_parameters(40)
    for blocks in (3, 100):
        monkeypatch.setattr(painting_cuda, "_BLOCKS", blocks)
        y = guarded_map(lambda x, *p: kernel_of.adain(x, p, None, 1.0), x, *parameters)
        assert error(y, adain_reference(x, *parameters)) < LIMITS[dtype]


def test_adain_keeps_nan_and_infinity(on_host):
    x = torch.tensor([float("nan"), float("inf"), 0.0]).view(1, 1, 1, 3)
    zero, one = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    y = kernel_of.adain(x, (zero, one, one, zero), 2.0, 1.0).flatten()
    assert y[0].isnan() and y[1:].tolist() == [2.0, 0.0]
    assert kernel_of.adain(x, (zero, one, one, zero), None, 1.0).flatten()[1] == float("inf")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("C", CHANNELS)
@pytest.mark.parametrize("size", SIZES)
def test_depthwise(on_host, size, C, dtype):
    random = torch.Generator().manual_seed(2)
    x = 2 * case(C, size, dtype)
    weight, bias = (
        torch.randn(C, 1, 3, 3, generator=random).to(dtype),
        torch.randn(C, generator=random).to(dtype),
    )
    for which, activation in enumerate(("none", "silu", "gelu")):
        y = guarded_map(kernel_of.depthwise3x3, x, weight, bias, which)
        assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
        assert error(y, depthwise3x3_reference(x, weight, bias, activation)) < LIMITS[dtype]


@pytest.mark.parametrize("blocks", [1, 4, 1000])
@pytest.mark.parametrize("C", [5, 16])
def test_depthwise_of_runs_of_any_length(on_host, monkeypatch, blocks, C):
    """Runs of 16 rows, of fewer, and of two."""
    monkeypatch.setattr(painting_cuda, "_BLOCKS", blocks)
    x, weight, bias = case(C, (35, 6), torch.float32), torch.randn(C, 1, 3, 3), torch.randn(C)
    y = guarded_map(kernel_of.depthwise3x3, x, weight, bias, 0)
    assert error(y, depthwise3x3_reference(x, weight, bias)) < LIMITS[torch.float32]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("C", "part"), [(24, slice(0, 12)), (24, slice(12, 24)), (24, slice(3, 10)), (33, slice(8))]
)
def test_part_of_a_wider_map(on_host, dtype, C, part):
    """Channels of it, and every second row and column."""
    x = case(C, (9, 14), dtype).contiguous(memory_format=torch.channels_last)
    for own in (x[:, part], x[:, part, ::2, ::2], x[:, part].contiguous(), x[:, part].transpose(2, 3)):
        channels = own.shape[1]
        weight, bias = torch.randn(channels, 1, 3, 3).to(dtype), torch.randn(channels).to(dtype)
        y = kernel_of.depthwise3x3(own, weight, bias, 1)
        assert error(y, depthwise3x3_reference(own, weight, bias, "silu")) < LIMITS[dtype]
        assert torch.equal(kernel_of.bordered(own, False, 1), border.plain(own))
        assert error(moments_of(own), moments_reference(own)) < 1e-5
        parameters = adain_parameters(channels)
        y = kernel_of.adain(own, parameters, None, 1.0)
        assert error(y, adain_reference(own, *parameters)) < LIMITS[dtype]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("C", [*CHANNELS, 3])
@pytest.mark.parametrize(
    ("size", "reflect", "width"),
    [*((size, False, width) for size in SIZES for width in (1, 2)), ((2, 2), True, 1), ((33, 18), True, 3)],
)
def test_bordered(on_host, size, reflect, width, C, dtype):
    x = case(C, size, dtype)
    y = guarded_map(kernel_of.bordered, x, reflect, width)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, border.plain(x, reflect, width))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("shape", "shift"), [((1,), 0), ((2, 3, 7, 5), 0), ((3, 9, 32), 0), ((3, 9, 32), 4)])
def test_gates(on_card, shape, shift, dtype):
    random = torch.Generator().manual_seed(0)
    shape = (1, 1, *shape)
    gate, x = (4 * torch.randn(2, *shape, generator=random)).to(dtype)
    for function, inputs, expected in (
        (gates.gated, (gate, x), torch.sigmoid(gate.double()) * x.double()),
        (gates.squared_relu, (x,), x.double().clamp(min=0).square()),
        (lambda x: gates.bounded(x, 2.5), (x,), 2.5 * torch.tanh(x.double())),
    ):
        on_card.clear()
        y = guarded_call(function, *inputs, shift=shift)
        assert y.dtype == dtype and len(on_card) == 1
        assert error(y, expected) < LIMITS[dtype] or expected.abs().max() == y.abs().max() == 0


def test_gates_of_nan_and_infinity(on_card):
    x = torch.tensor([[[float("nan"), float("inf"), -float("inf"), 2.0]]])
    assert gates.squared_relu(x).flatten()[1:].tolist() == [float("inf"), 0, 4]
    assert gates.gated(x, torch.ones_like(x)).flatten()[1:3].tolist() == [1, 0]
    assert gates.bounded(x, 2.0).flatten()[1:3].tolist() == [2, -2]
    assert all(
        y.flatten()[0].isnan() for y in (gates.squared_relu(x), gates.bounded(x, 2.0), gates.gated(x, x))
    )


def test_gates_of_what_does_not_lie_alike(on_card):
    x = torch.randn(2, 3, 4, 5)
    y = gates.gated(x.transpose(1, 2), x.transpose(1, 2).contiguous())
    assert error(y, (torch.sigmoid(x.double()) * x.double()).transpose(1, 2)) < 1e-6 and not on_card


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shift", [4, 8])
def test_unaligned(on_host, dtype, shift):
    x, parameters = case(48, (5, 7), dtype), adain_parameters(48)
    assert error(moments_of(x, shift), moments_reference(x)) < 1e-5
    y = guarded_map(lambda x, *p: kernel_of.adain(x, p, None, 1.0), x, *parameters, shift=shift)
    assert error(y, adain_reference(x, *parameters)) < LIMITS[dtype]
    weight, bias = torch.randn(48, 1, 3, 3).to(dtype), torch.randn(48).to(dtype)
    y = guarded_map(kernel_of.depthwise3x3, x, weight, bias, 0, shift=shift)
    assert error(y, depthwise3x3_reference(x, weight, bias)) < LIMITS[dtype]
    assert torch.equal(guarded_map(kernel_of.bordered, x, False, 1, shift=shift), border.plain(x))


def test_order_of_threads_does_not_matter(on_host):
    cases = [(case(C, (33, 18), dtype), adain_parameters(C)) for C in (5, 24, 80) for dtype in TYPES]

    def everything():
        for x, parameters in cases:
            weight, bias = parameters[0].new_ones(x.shape[1], 1, 3, 3), parameters[0][0].flatten()
            yield from kernel_of.moments(x, EPS)
            yield kernel_of.adain(x, parameters, 1.0, 0.2)
            yield kernel_of.depthwise3x3(x, weight, bias, 2)
            yield kernel_of.bordered(x, True, 1)

    ascending = list(everything())
    on_host(descending=True)
    for one, other in zip(ascending, everything(), strict=True):
        assert torch.equal(one, other)


@pytest.fixture
def on_card(on_host, monkeypatch):
    """Lets the operators themselves take their ways on a card; counts the launches."""
    launched = []

    class Card:
        type = "cuda"

    def launch(self, name, *arguments):
        launched.append(name)
        return real(self, name, *arguments)

    real = cuda_kit.HostKernels.launch
    monkeypatch.setattr(cuda_kit.HostKernels, "launch", launch)
    monkeypatch.setattr(cuda, "takes", lambda *tensors: all(t.dtype in cuda.STORAGE for t in tensors))
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(torch.Tensor, "device", Card)
    return launched


def calls(x):
    """Every operator on a map (2, 5, H, W) and what it should give."""
    parameters = adain_parameters(5)
    weight, bias = torch.ones(5, 1, 3, 3), torch.ones(5)
    mean, variance = moments_reference(x)[..., None, None].chunk(2, 1)
    return (
        (lambda: moments(x), 2, (mean, variance)),
        (lambda: mean_std(x), 2, (mean, (variance + EPS).sqrt())),
        (lambda: (adain(x, *parameters),), 1, (adain_reference(x, *parameters),)),
        (
            lambda: (depthwise3x3(x, weight, bias, "gelu"),),
            1,
            (depthwise3x3_reference(x, weight, bias, "gelu"),),
        ),
        (lambda: (border.bordered(x, True),), 1, (border.plain(x.double(), True),)),
        (lambda: (gates.gated(x, x),), 1, (torch.sigmoid(x.double()) * x.double(),)),
        (lambda: (gates.squared_relu(x),), 1, (x.double().clamp(min=0).square(),)),
        (lambda: (gates.bounded(x, 2.0),), 1, (2 * torch.tanh(x.double()),)),
    )


def test_operators_take_their_kernels_for_painting_alone(on_card, monkeypatch):
    x = 3 + case(5, (6, 7), torch.float32)
    for call, count, expected in calls(x):
        on_card.clear()
        results = call()
        assert len(on_card) == count
        for got, wanted in zip(results, expected, strict=True):
            assert error(got, wanted) < 1e-5

    on_card.clear()
    x.requires_grad_()
    for call, _, _ in calls(x):
        assert all(result.requires_grad for result in call())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: True)
    with torch.no_grad():
        for call, _, _ in calls(x):
            call()
    assert not on_card
