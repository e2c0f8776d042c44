"""Deform-shift: the operator against its formula."""

import pytest
import torch

from stylecli.ops.deform_shift import deform_shift, deform_shift_reference


def case(B=2, H=5, W=7, C=8, G=4, reach=3.0):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(B, H, W, C, generator=generator, dtype=torch.float64)
    return x, torch.randn(B, H, W, G, 2, generator=generator, dtype=torch.float64) * reach


@pytest.mark.parametrize("size", [(5, 7), (1, 9), (9, 1), (1, 1), (16, 16)])
def test_agrees_with_the_formula_also_outside_the_border(size):
    x, offset = case(H=size[0], W=size[1])
    torch.testing.assert_close(
        deform_shift(x, offset), deform_shift_reference(x, offset), rtol=1e-10, atol=1e-10
    )
    single = deform_shift(x.float(), offset.float())
    torch.testing.assert_close(single.double(), deform_shift_reference(x, offset), rtol=1e-4, atol=1e-4)


def test_whole_offsets_shift_whole_tokens():
    x, offset = case()
    offset = torch.zeros_like(offset)
    offset[..., 0, 1] = 1  # the first group reads its right-hand neighbour
    y = deform_shift(x, offset)
    torch.testing.assert_close(y[:, :, :-1, :2], x[:, :, 1:, :2])
    torch.testing.assert_close(y[..., 2:], x[..., 2:])


def test_gradcheck():
    x, offset = case(B=1, H=4, W=4, C=4, G=2, reach=0.7)
    assert torch.autograd.gradcheck(deform_shift, (x.requires_grad_(), offset.requires_grad_()))


def test_bfloat16_keeps_its_type():
    x, offset = case()
    y = deform_shift(x.bfloat16(), offset.bfloat16())
    assert y.dtype == torch.bfloat16
