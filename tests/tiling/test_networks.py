"""Both networks in strips and at once: the same painting, whatever the strips, at odd sizes too."""

import math
from dataclasses import replace

import pytest
import torch

from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.style_mamba import tiling as mamba_tiling
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.models.style_rwkv import tiling as rwkv_tiling
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.tiling import Grid, LazyFeatureMap, whole
from stylecli.tiling.lazy_map import evaluate

RWKV = StyleRwkvConfig(
    widths=(8, 12, 16, 16), stem=8, code=16, texture_convs=(1, 1, 0, 0), content_skip=2, detail_injection=0.3
)
MAMBA = StyleMambaConfig(latent=4, embedding=16, code=8, widths=(8, 8, 16), blocks=(1, 1, 1), state=4, rank=2)


def shaken(network):
    """Away from its initial values, where displacements are whole, gains zero and all tokens alike."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            parameter.data.fill_(0.2)
        else:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(False)


def rwkv():
    torch.manual_seed(0)
    network = shaken(StyleRwkv(RWKV))
    return network, network.encode_style(torch.rand(1, 3, 50, 33))


def mamba():
    torch.manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(2, 16), dim=-1)
    autoencoder = Autoencoder(AutoencoderConfig(latent=4, coarse=8, fine=8))
    return shaken(TextPainter(StyleMamba(MAMBA), autoencoder, unit[:1])), unit[1:]


def styled_mamba():
    """With style vectors, and kernels of the style."""
    torch.manual_seed(0)
    config = replace(MAMBA, style=24, components=6, hidden=16, experts=2)
    autoencoder = Autoencoder(AutoencoderConfig(latent=4, coarse=8, fine=8))
    painter = TextPainter(
        StyleMamba(config), autoencoder, torch.nn.functional.normalize(torch.randn(1, 16), dim=-1)
    )
    return shaken(painter), torch.randn(1, 40) / 3


def in_strips(x, rows):
    strips = LazyFeatureMap(Grid(x.shape[2], rows, x.device), x.shape, x.dtype)
    strips.keep(x)
    return strips


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    for module in (rwkv_tiling, mamba_tiling):
        monkeypatch.setattr(module, "TOKENS", 200)
    monkeypatch.setattr(whole, "_NUMBERS", 2000)


@pytest.mark.parametrize("make", [rwkv, mamba, styled_mamba])
@pytest.mark.parametrize(
    ("size", "rows"), [((150, 97), 16), ((161, 64), 64), ((33, 300), 16), ((16, 16), 16)]
)
def test_strips_give_what_the_whole_gives(make, size, rows):
    network, style = make()
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for strength in (1.0, 0.4):
            expected = network.paint(x, style, strength, 3)
            painted = network.paint(in_strips(x, rows), style, strength, 3)
            assert painted.shape == expected.shape
            assert (painted.whole() - expected).abs().max() < 2e-4  # of 1; 1/255 is 4e-3


@pytest.mark.parametrize("make", [rwkv, mamba, styled_mamba])
def test_bfloat16(make):
    network, style = make()
    network, style = network.to(torch.bfloat16), style.to(torch.bfloat16)
    x = torch.rand(1, 3, 96, 80, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    with torch.inference_mode():
        expected = network.paint(x, style, 1.0, 3).float()
        painted = network.paint(in_strips(x, 16), style, 1.0, 3).whole().float()
    error = float((painted - expected).square().mean())
    assert 10 * math.log10(1 / max(error, 1e-12)) > 45


def test_any_rows_can_be_asked_for():
    network, style = rwkv()
    x = torch.rand(1, 3, 96, 64)
    with torch.inference_mode():
        painted = network.paint(in_strips(x, 32), style, 1.0, 0)
        one, same = evaluate([painted, painted], 41, 44)
        all_rows = painted.whole()
    assert torch.equal(one, same)
    assert torch.allclose(one, all_rows[:, :, 41:44], atol=1e-5)


def test_what_is_not_known_is_named():
    with pytest.raises(NotImplementedError, match="cumsum is not known to stylecli/tiling"):
        torch.cumsum(in_strips(torch.rand(1, 3, 32, 32), 16), 2)
