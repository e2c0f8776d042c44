"""StyleMamba: sizes, what depends on what, gradients."""

import torch

from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.style_mamba.blocks import ConditionalScan
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.painter import TextPainter

TINY = StyleMambaConfig(latent=4, embedding=16, code=8, widths=(8, 8, 16), blocks=(1, 1, 1), state=4, rank=2)


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


def test_guidance_goes_on_in_the_same_direction():
    model = StyleMamba(TINY)
    prompt, photo = unit(1, 16), unit(1, 16)
    neutral, plain, twice = (model.style_code(prompt, photo, g) for g in (0, 1, 2))
    assert torch.allclose(twice - plain, plain - neutral, atol=1e-6)
    assert torch.equal(plain, model.style_code(prompt))


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
