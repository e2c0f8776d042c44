"""A whole network, trained on either path: what single operators agree on must still hold at the far end."""

import pytest
import torch

from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.ops import build


def gradients(monkeypatch, path):
    """Of a new network, whose displacements are all zero: the place where the two paths once disagreed."""
    monkeypatch.setenv("STYLIZE_KERNELS", path)
    torch.manual_seed(0)
    network = StyleRwkv(StyleRwkvConfig())
    content, style, wanted = torch.rand(3, 1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.nn.functional.mse_loss(network(content, network.encode_style(style)), wanted).backward()
    return {name: p.grad.flatten() for name, p in network.named_parameters() if p.grad is not None}


def test_compiled_and_torch_give_a_new_network_the_same_gradients(monkeypatch):
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    compiled, plain = gradients(monkeypatch, "auto"), gradients(monkeypatch, "off")
    assert compiled.keys() == plain.keys()
    # A leaky ReLU may see the other side of zero after rounding: one pixel of that is seen in every gradient.
    for part in ("", "shift.offset"):
        a, b = (torch.cat([g for name, g in x.items() if part in name]) for x in (compiled, plain))
        assert (a - b).norm() < 0.03 * b.norm()
