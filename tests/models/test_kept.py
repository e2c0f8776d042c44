"""What is computed of a style alone is computed once, and never stale; a CUDA graph keeps what it reads."""

from copy import deepcopy

import pytest
import torch

from stylecli.models.kept import Kept
from stylecli.models.layers import AdaIn
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.ops.held import held_in


class Counted:
    """Adds up its inputs and weights; ``made``: how often."""

    def __init__(self):
        self.kept, self.made = Kept(), 0

    def get(self, inputs, weights, *more):
        def make():
            self.made += 1
            return sum([*inputs, *weights])

        return self.kept.get(make, inputs, weights, *more)


def test_the_same_is_made_once_and_anything_else_anew():
    counted, a, weight = Counted(), torch.ones(3), torch.ones(3)
    first = counted.get([a], [weight])
    assert counted.get([a], [weight]) is first and counted.made == 1
    changes = (
        lambda: counted.get([a], [weight], "more"),
        lambda: counted.get([a.clone()], [weight]),
        lambda: counted.get([a.mul_(2)], [weight]),
        lambda: counted.get([a], [weight.mul_(2)]),
        lambda: counted.get([a], [weight.clone()]),
        lambda: counted.get([a, a], [weight]),
    )
    for n, change in enumerate(changes, 2):
        change()
        assert counted.made == n
    twin = deepcopy(counted)
    twin.get([a, a], [weight])
    assert twin.made == counted.made + 1


def test_those_of_the_last_styles_are_kept():
    counted, weight = Counted(), torch.ones(3)
    styles = [torch.full((3,), float(n)) for n in range(4)]
    for _ in range(3):
        assert [counted.get([style], [weight])[0].item() for style in styles] == [1, 2, 3, 4]
    assert counted.made == 4
    counted.get([styles[0]], [weight]), counted.get([torch.ones(3)], [weight])  # the second one goes
    assert counted.made == 5
    counted.get([styles[0]], [weight]), counted.get([styles[1]], [weight])
    assert counted.made == 6


def test_weights_that_come_to_lie_where_others_lay():
    counted, a, layer = Counted(), torch.ones(1), torch.nn.Linear(3, 300_000).requires_grad_(False)
    for n in range(12):  # of this size the memory of one that is given up is the next one's
        layer.bias.data = torch.full((300_000,), float(n))
        assert counted.get([a], [layer.bias])[0].item() == 1 + n


def test_weights_that_were_exchanged_in_place():
    counted, a, layer = Counted(), torch.ones(3), torch.nn.Linear(3, 3).requires_grad_(False)
    counted.get([a], [layer.bias])
    layer.bias.data = torch.ones(3)
    assert torch.equal(counted.get([a], [layer.bias]), torch.full((3,), 2.0)) and counted.made == 2


def test_nothing_is_kept_where_anything_learns_or_under_autocast():
    counted, a, weight = Counted(), torch.ones(3), torch.ones(3)
    counted.get([a], [weight])
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            counted.get([a], [weight])
        assert counted.get([a], [weight.clone().requires_grad_()]).requires_grad
        assert counted.get([a.clone().requires_grad_()], [weight]).requires_grad
    assert counted.made == 7


def test_what_inference_made_is_not_for_gradients():
    counted, a, weight = Counted(), torch.ones(3), torch.ones(3)
    with torch.inference_mode():
        assert counted.get([a], [weight]).is_inference()
    x = torch.ones(3, requires_grad=True)
    (x * counted.get([a], [weight])).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


@pytest.fixture
def card(monkeypatch):
    """Tensors that say they are on a card; ``recording`` and ``stream`` may be set."""

    class Card:
        recording, stream, cuda_stream = False, 0, property(lambda self: self.stream)

    card = Card()
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: card.recording)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: card)
    return card


def test_recordings_hold_what_they_read_and_leave_nothing_behind(card):
    counted, a, weight, held = Counted(), torch.ones(3), torch.ones(3), []
    card.recording, card.stream = True, 7
    with held_in(held):
        made = counted.get([a], [weight])  # has no numbers yet: nobody else may have it
    card.recording, card.stream = False, 0
    plain = counted.get([a], [weight])
    assert plain is not made and counted.made == 2 and not held
    card.recording, card.stream = True, 7
    with held_in(held):
        assert counted.get([a], [weight]) is plain
    assert held == [plain]


def test_what_another_stream_made_may_not_be_there_yet(card):
    counted, a, weight = Counted(), torch.ones(3), torch.ones(3)
    first = counted.get([a], [weight])
    card.stream = 1
    assert counted.get([a], [weight]) is not first


def tiny():
    torch.manual_seed(0)
    config = StyleRwkvConfig(widths=(8, 16, 24, 32), stem=8, code=12, experts=2, mapping=8)
    network = StyleRwkv(config).eval().requires_grad_(False)
    for p in network.parameters():
        p.add_(torch.randn(p.shape) * 0.02)
    return network


def test_a_network_paints_the_same_whatever_it_has_kept():
    network, photo = tiny(), torch.rand(2, 3, 48, 64)
    styles = torch.randn(2, network.style_size)
    with torch.inference_mode():
        for style in (styles[:1], styles[1:], styles[1:], styles[:1]):
            again = network.paint(photo, style)
            assert torch.equal(again, network.paint(photo, style))
            assert torch.equal(again, tiny().paint(photo, style))
        seen = []
        for module in network.modules():
            if isinstance(module, AdaIn):
                module.correction.register_forward_hook(lambda *_: seen.append(1))
        network.paint(photo, style)
        assert not seen
        network.paint(photo, style.clone())
        assert seen
