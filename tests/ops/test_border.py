"""The border that a graphics card gets is the one that torch would give."""

import pytest
import torch
import torch.nn.functional as F

from stylecli.ops import border


class OnCard:
    """Stands in for a device; the tensor itself stays where it is."""

    type = "cuda"


@pytest.mark.parametrize(("reflect", "width"), [(False, 1), (True, 1), (False, 2)])
def test_joined_rows_are_torch_s_border(reflect, width, monkeypatch):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    wanted = F.pad(x, (width,) * 4, mode="reflect" if reflect else "replicate")
    weights = torch.randn_like(wanted)
    (gradient,) = torch.autograd.grad((wanted * weights).sum(), x)
    monkeypatch.setattr(torch.Tensor, "device", OnCard)
    found = border.bordered(x, reflect, width)
    monkeypatch.undo()
    assert torch.equal(found, wanted) and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(torch.autograd.grad((found * weights).sum(), x)[0], gradient)
