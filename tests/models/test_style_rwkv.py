"""StyleRWKV: sizes, determinism, batches, gradients."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from stylecli.models.layers import Noise, noise
from stylecli.models.style_rwkv.blocks import DeformShift, StRwkvBlock
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv

TINY = StyleRwkvConfig(widths=(8, 12, 16, 16), stem=8, code=16, texture_convs=(1, 1, 0, 0), noise=True)


def with_gains(model):
    """Noise, styled residuals and the style reader begin at zero; give them something to say."""
    for name, parameter in model.named_parameters():
        if name.endswith("gain"):
            parameter.data.fill_(0.2)
        elif name.startswith("read") and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return with_gains(StyleRwkv(TINY)).eval()


@pytest.fixture(scope="module")
def style(model):
    with torch.inference_mode():
        return model.encode_style(torch.rand(1, 3, 50, 33, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 64), (16, 200), (97, 33)])
def test_output_has_the_size_of_the_content(model, style, size):
    with torch.inference_mode():
        y = model(torch.rand(1, 3, *size), style)
    assert y.shape == (1, 3, *size)
    assert y.min() >= 0 and y.max() <= 1


def test_same_input_same_output(model, style):
    x = torch.rand(1, 3, 48, 40)
    with torch.inference_mode():
        assert torch.equal(model(x, style), model(x, style))


def test_the_seed_decides_the_noise(model, style):
    x = torch.full((1, 3, 48, 40), 0.5)
    with torch.inference_mode():
        one, again, other = (model(x, style, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_weights_of_older_versions_name_a_setting_otherwise():
    assert StyleRwkvConfig.from_json('{"underdrawing": 0.25}').detail_injection == 0.25


def test_detail_of_the_photograph_shines_through_and_its_areas_do_not(style):
    torch.manual_seed(0)
    network = StyleRwkv(TINY).eval()
    bare, through = (StyleRwkv(replace(TINY, detail_injection=share)).eval() for share in (0.0, 0.25))
    for other in (bare, through):
        other.load_state_dict(network.state_dict())
    ramp = torch.linspace(0.3, 0.7, 64).view(1, 1, 1, 64)
    stripes = 0.1 * (torch.arange(64) // 2 % 2 * 2 - 1).view(1, 1, 1, 64)
    with torch.inference_mode():
        x = (ramp + stripes).expand(1, 3, 64, 64)
        painted, drawn = bare(x, style), through(x, style)
    change = drawn - painted
    missing = x - painted
    detail = missing - F.avg_pool2d(missing, 15, 1, 7, count_include_pad=False)
    slope = (change * detail).sum() / detail.square().sum()
    assert 0.2 < slope < 0.3
    # Of what areas lack, next to nothing comes: the photograph's grey does not veil the painting.
    assert F.avg_pool2d(change, 32).abs().max() < 0.1 * 0.25 * F.avg_pool2d(missing, 32).abs().max()


def test_guidance_paints_a_style_beyond_itself_but_never_the_usual_one(style):
    torch.manual_seed(0)
    network = with_gains(StyleRwkv(replace(TINY, guidance=0.25))).eval()
    x = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        network.usual.copy_(0.5 * style[0])
        torch.testing.assert_close(network.paint(x, style), network(x, 1.125 * style))
        usual = network.usual[None]
        torch.testing.assert_close(network.paint(x, usual), network(x, usual))


def test_a_batch_is_its_pictures(model, style):
    x = torch.rand(3, 3, 40, 48)
    with torch.inference_mode():
        together = model(x, style)
        apart = torch.cat([model(one[None], style) for one in x])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    model = with_gains(StyleRwkv(TINY))
    x, s = torch.rand(2, 2, 3, 128, 128)
    (model(x, model.encode_style(s)) - 0.3).square().mean().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize(("rescans", "skip"), [(1, 1), (2, 2), (3, 4)])
def test_any_number_of_rescans_and_any_stride(rescans, skip):
    config = StyleRwkvConfig(widths=(8, 8, 8, 8), stem=8, code=8, rescans=rescans, skip=skip)
    y = StRwkvBlock(8, config)(torch.randn(1, 8, 9, 7))
    assert y.shape == (1, 8, 9, 7)


def test_deform_shift_begins_as_q_shift():
    shift = DeformShift(8, StyleRwkvConfig())
    x = torch.randn(1, 8, 6, 6)
    shift.mix.data.fill_(1.0)
    y = shift(x).permute(0, 3, 1, 2)
    torch.testing.assert_close(y[:, :2, 1:], x[:, :2, :-1], rtol=1e-4, atol=1e-4)  # reads the token above
    torch.testing.assert_close(
        y[:, 6:, :, :-1], x[:, 6:, :, 1:], rtol=1e-4, atol=1e-4
    )  # the one to the right


def test_configuration_survives_json():
    assert StyleRwkvConfig.from_json(TINY.to_json()) == TINY


def test_noise_is_drawn_once_for_pictures_of_one_size_and_serves_training_too():
    layer = Noise(3)
    layer.gain.data.fill_(1)
    x = torch.zeros(1, 3, 5, 7)
    with torch.inference_mode():
        first = layer(x, 4)
    expected = torch.randn(5, 7, generator=torch.Generator().manual_seed(4))
    assert torch.equal(first, expected.expand(1, 3, 5, 7))
    cpu = torch.device("cpu")
    assert noise(5, 7, 4, cpu, torch.float32) is noise(5, 7, 4, cpu, torch.float32)
    layer(x, 4).sum().backward()  # fails on a tensor of inference mode
    assert torch.allclose(layer.gain.grad.flatten(), expected.sum())
