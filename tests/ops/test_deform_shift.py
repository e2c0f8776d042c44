"""Deform-shift: every path against its formula."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stylecli.ops import build
from stylecli.ops.deform_shift import compiled, deform_shift, deform_shift_reference
from stylecli.ops.deform_shift.op import sampled, sampled_backward

PATHS = {
    "torch": (sampled, sampled_backward),
    "compiled": (compiled.deform_shift, compiled.deform_shift_backward),
}


@pytest.fixture(params=PATHS)
def path(request):
    if request.param == "compiled" and build.load() is None:
        pytest.skip("no C++ compiler here")
    return PATHS[request.param]


def case(B=2, H=5, W=7, C=8, G=4, reach=3.0):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(B, H, W, C, generator=generator, dtype=torch.float64)
    return x, torch.randn(B, H, W, G, 2, generator=generator, dtype=torch.float64) * reach


def formula_gradients(x, offset, grad):
    exact = [t.double().requires_grad_() for t in (x, offset)]
    return torch.autograd.grad(deform_shift_reference(*exact), exact, grad.double())


def relative_rms(y, reference):
    return ((y.double() - reference).norm() / reference.norm()).item()


SIZES = [(5, 7), (1, 9), (9, 1), (1, 1), (16, 16), (40, 3)]


@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_the_formula_also_outside_the_border(path, size):
    x, offset = case(H=size[0], W=size[1])
    y = path[0](x.float(), offset.float())
    torch.testing.assert_close(y.double(), deform_shift_reference(x, offset), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_float64_is_exact_to_rounding(size):
    x, offset = case(H=size[0], W=size[1])
    torch.testing.assert_close(
        deform_shift(x, offset), deform_shift_reference(x, offset), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(("C", "G", "B"), [(8, 4, 2), (52, 4, 1), (33, 1, 3), (3, 3, 1), (64, 2, 1)])
@pytest.mark.parametrize("reach", [0.7, 30.0])
def test_gradients_agree_with_the_formula(path, C, G, B, reach):
    x, offset = case(B, 35, 6, C, G, reach)
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    got = path[1](grad.float(), x.float(), offset.float())
    for g, e in zip(got, formula_gradients(x.float(), offset.float(), grad.float()), strict=True):
        torch.testing.assert_close(g.double(), e, rtol=1e-3, atol=2e-3)
        assert relative_rms(g, e) < 1e-5


@pytest.mark.parametrize("B", [1, 3])
def test_bfloat16_is_read_and_written_as_it_is(path, B):
    x, offset = case(B, 20, 9, 20, 4)
    offset = offset.bfloat16()
    offset[offset == offset.round()] += (
        0.25  # exactly on a token, and so on the border, slopes are a convention
    )
    x = x.bfloat16()
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    y, got = path[0](x, offset), path[1](grad, x, offset)
    assert y.dtype == got[0].dtype == got[1].dtype == torch.bfloat16
    assert relative_rms(y, deform_shift_reference(x, offset)) < 3e-3
    for g, e in zip(got, formula_gradients(x, offset, grad), strict=True):
        assert relative_rms(g, e) < 4e-3


def test_slopes_on_whole_tokens_are_those_of_the_formula(path):
    x, offset = case(1, 33, 60)
    offset = offset.round().clamp(-6, 6)
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    got = path[1](grad.float(), x.float(), offset.float())[1][
        :, 8:-8, 8:-8
    ]  # on the border it is a convention
    assert relative_rms(got, formula_gradients(x.float(), offset, grad.float())[1][:, 8:-8, 8:-8]) < 1e-4


def test_what_lies_outside_has_no_gradient_of_its_place(path):
    x, offset = (t.float() for t in case())
    offset[..., 0] = 100.0
    grad = path[1](torch.ones_like(x), x, offset)[1]
    assert (grad[..., 0] == 0).all()
    assert (grad[..., 1] != 0).any()


def test_absurd_displacements_read_the_border(path):
    x, offset = (t.float() for t in case())
    y = path[0](x, torch.full_like(offset, 1e30))
    assert torch.equal(y, x[:, -1:, -1:].expand_as(x))
    y = path[0](x, torch.full_like(offset, -1e30))
    assert torch.equal(y, x[:, :1, :1].expand_as(x))


def test_whole_offsets_shift_whole_tokens(path):
    x, offset = (t.float() for t in case())
    offset = torch.zeros_like(offset)
    offset[..., 0, 1] = 1  # the first group reads its right-hand neighbour
    y = path[0](x, offset)
    torch.testing.assert_close(y[:, :, :-1, :2], x[:, :, 1:, :2])
    torch.testing.assert_close(y[..., 2:], x[..., 2:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bits_do_not_depend_on_the_number_of_threads(dtype):
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    x, offset = (t.to(dtype) for t in case(1, 45, 9, 20, 4))
    threads, results = torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            y = compiled.deform_shift(x, offset)
            results.append((y, *compiled.deform_shift_backward(y, x, offset)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def test_gradcheck():
    x, offset = case(B=1, H=4, W=4, C=4, G=2, reach=0.7)
    assert torch.autograd.gradcheck(deform_shift, (x.requires_grad_(), offset.requires_grad_()))


def test_non_contiguous_inputs():
    x, offset = (t.float() for t in case(2, 6, 6, 8, 4))
    y = deform_shift(x.permute(0, 2, 1, 3), offset.permute(0, 2, 1, 3, 4))
    expected = deform_shift_reference(x.permute(0, 2, 1, 3), offset.permute(0, 2, 1, 3, 4))
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    x.requires_grad_()
    (grad,) = torch.autograd.grad(deform_shift(x, offset).sum(), x)  # the gradient is an expanded number
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_operator_is_registered_rightly(dtype):
    inputs = tuple(t.to(dtype).requires_grad_() for t in case(1, 4, 5))
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.stylecli.deform_shift.default, inputs, test_utils=tests)


def test_gradients_in_torch_send_nothing_to_a_card():
    """A step in which something is sent cannot be recorded."""

    class Sent(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += function in (torch.ops.aten.lift_fresh.default, torch.ops.aten._to_copy.default)
            return function(*args, **(kwargs or {}))

    x, offset = (t.float() for t in case())
    with Sent() as sent:
        sampled_backward(torch.ones_like(x), x, offset)
    assert not sent.count
