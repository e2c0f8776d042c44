"""StyleMamba: sizes, what depends on what, gradients."""

from dataclasses import replace

import torch

from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.style_mamba.blocks import ConditionalScan
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.models.style_mamba.style_code import StyleCode, StyleSpace

TINY = StyleMambaConfig(latent=4, embedding=16, code=8, widths=(8, 8, 16), blocks=(1, 1, 1), state=4, rank=2)
STYLED = replace(TINY, style=24, components=12, hidden=32)


def unit(*shape):
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1)


def test_any_size_and_a_gradient_everywhere():
    torch.manual_seed(0)
    model = StyleMamba(TINY)
    for h, w in ((1, 1), (2, 9), (11, 6)):
        assert model(torch.randn(2, 4, h, w), model.style_code(unit(1, 16))).shape == (2, 4, h, w)
    model(torch.randn(2, 4, 9, 8), model.style_code(unit(2, 16))).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_four_directions_reach_every_corner():
    torch.manual_seed(0)
    scan = ConditionalScan(16, TINY)
    x = torch.randn(1, 16, 7, 9, requires_grad=True)
    for y, x_ in ((0, 0), (6, 8), (0, 8), (6, 0)):
        (g,) = torch.autograd.grad(scan(x, torch.randn(1, 8))[0, :, y, x_].sum(), x)
        assert (g.abs().sum(1) > 0).all()  # every token reaches this corner


def test_the_prompt_decides_and_the_seed_repeats():
    torch.manual_seed(0)
    model, latent = StyleMamba(TINY), torch.randn(1, 4, 8, 8)
    one, other = (model.style_code(unit(1, 16)) for _ in range(2))
    assert torch.equal(model(latent, one, 1), model(latent, one, 1))
    assert not torch.allclose(model(latent, one, 1), model(latent, one, 2))
    assert not torch.allclose(model(latent, one, 1), model(latent, other, 1))


@torch.no_grad()
def test_a_style_vector_decides_and_what_the_phrase_adds_begins_at_nothing():
    torch.manual_seed(0)
    model, styles = StyleMamba(STYLED), torch.randn(200, 24) * torch.rand(24) + 3
    model.code.begin_with(styles)
    codes = model.style_code(torch.cat([styles, torch.zeros(200, 16)], 1))
    assert 0.2 < float(codes.std(0).mean()) < 0.3 and float(codes.mean(0).abs().max()) < 0.01
    said = torch.cat([styles, unit(200, 16)], 1)
    assert torch.equal(model.style_code(said), codes)
    torch.nn.init.normal_(model.code.prompt[-1].weight)
    whole, half = (
        model.style_code(said) - codes,
        model.style_code(said * said.new_tensor([1] * 24 + [0.5] * 16)),
    )
    assert whole.abs().max() > 0.1 and torch.allclose(half - codes, whole / 2, atol=1e-5)
    assert torch.equal(model.style_code(torch.cat([styles, torch.zeros(200, 16)], 1)), codes)


@torch.no_grad()
def test_codes_begin_near_those_that_are_given():
    torch.manual_seed(0)
    few = torch.randn(400, 6)
    code, styles, wanted = StyleCode(STYLED), few @ torch.randn(6, 24), torch.tanh(few)
    code.begin_with(styles, wanted)
    found = code(torch.cat([styles, torch.zeros(400, 16)], 1))[:, :6]
    assert float((found - wanted).square().mean() / wanted.var(0).mean()) < 0.2


def test_all_components_of_a_style_give_it_back_and_few_the_nearest():
    torch.manual_seed(0)
    styles = torch.randn(100, 3) @ torch.randn(3, 24) + 0.2 * torch.randn(100, 24) - 2
    whole, few = StyleSpace(24, 24), StyleSpace(24, 3)
    for space, near in ((whole, 1e-4), (few, 1.5)):
        space.fit(styles)
        assert float((space.vector(space(styles)) - styles).abs().max()) < near
        assert torch.allclose(space(styles).std(0), torch.ones(len(space.widths)), atol=0.05)


def test_strength_runs_from_the_photograph_to_the_style():
    torch.manual_seed(0)
    autoencoder = Autoencoder(AutoencoderConfig(latent=4, coarse=8, fine=8))
    painter, photo, style = (
        TextPainter(StyleMamba(TINY), autoencoder, unit(1, 16)),
        torch.rand(1, 3, 30, 21),
        unit(1, 16),
    )
    assert torch.allclose(painter.paint(photo, style, 0.0), photo, atol=1e-5)
    far = [float((painter.paint(photo, style, s) - photo).detach().abs().mean()) for s in (0.1, 0.5, 1.0)]
    assert far == sorted(far)
