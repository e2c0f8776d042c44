"""S-Scanning: orders and the operator that applies them."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stylecli.models.style_rwkv.blocks import wkv_of_map
from stylecli.ops.skip_scan import reorder, skip_scan_order


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (4, 6), (5, 7), (2, 9)])
@pytest.mark.parametrize("columns", [False, True])
def test_order_is_a_permutation_and_inverse_undoes_it(size, stride, columns):
    order, inverse = skip_scan_order(*size, stride, columns)
    x = torch.randn(2, size[0] * size[1], 3)
    assert torch.equal(reorder(reorder(x, order, inverse), inverse, order), x)


def test_stride_two_visits_every_other_token_first():
    order, _ = skip_scan_order(4, 4, 2)
    assert order.tolist() == [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15]
    order, _ = skip_scan_order(4, 4, 2, columns=True)
    assert order.tolist()[:4] == [0, 8, 2, 10]


def test_stride_one_is_the_raster_scan():
    assert skip_scan_order(3, 5, 1)[0].tolist() == list(range(15))


def test_gradient_is_the_inverse_permutation():
    order, inverse = skip_scan_order(3, 3, 2)
    x = torch.randn(1, 9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: reorder(z, order, inverse), (x,))


def test_orders_are_sent_to_a_card_once():
    class Copies(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += function is torch.ops.aten._to_copy.default and args[0].device.type == "cpu"
            return function(*args, **(kwargs or {}))

    card = torch.device("meta")  # stands in for one
    w, u, k, v = (torch.ones(shape, device=card) for shape in ((3,), (3,), (1, 7, 9, 3), (1, 7, 9, 3)))
    with Copies() as first:
        wkv_of_map(w, u, k, v, 2, True)
    with Copies() as again:
        assert wkv_of_map(w, u, k, v, 2, True).device == card
    assert (first.count, again.count) == (2, 0)
