"""The auto-encoder: sizes, its linear start, and what a tile sees."""

import numpy as np
import torch

from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.samples import CONTENTS
from stylecli.training.tasks.autoencoder import psnr


def photograph():
    draw = next(iter(CONTENTS.values()))
    return torch.from_numpy(np.array(draw(256))).permute(2, 0, 1)[None].float() / 255  # (1, 3, 256, 256)


def test_any_size_comes_back():
    model = Autoencoder(AutoencoderConfig(latent=4, coarse=8, fine=8))
    for H, W in ((1, 1), (4, 4), (33, 50)):
        latent = model.encode(torch.rand(2, 3, H, W))
        assert latent.shape == (2, 4, -(-H // 4), -(-W // 4))
        assert model.decode(latent, (H, W)).shape == (2, 3, H, W)


def test_principal_components_already_keep_a_photograph():
    x = photograph()
    model = Autoencoder()
    assert psnr(model.decode(model.encode(x)), x) < 20
    model.begin_with(x)
    latent = model.encode(x)
    assert torch.allclose(latent.std((0, 2, 3)), torch.ones(12), atol=0.02)
    assert psnr(model.decode(latent), x) > 30
