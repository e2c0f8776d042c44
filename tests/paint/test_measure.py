"""What refining and polishing measure style by: the same in tiles as at once, by every network that can be named."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from training_kit import random_vgg

from stylecli import Stylizer
from stylecli.errors import WeightsError
from stylecli.models.registry import load_painter
from stylecli.models.style_features.config import StyleFeaturesConfig
from stylecli.models.style_features.model import StyleFeatures
from stylecli.models.texture import Texture, halved, instance_normalised
from stylecli.paint import measure
from stylecli.paint.measure import COARSE, FINE, apart, feature_network, structure_of, texture_of
from stylecli.samples import CONTENTS, STYLES
from stylecli.training.checkpoint import save_release

CPU = torch.device("cpu")
NETWORKS = ("reader", "vgg", "own")


def picture(draw, side=96):
    return torch.from_numpy(np.array(draw(side))).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    config = StyleFeaturesConfig((8, 8, 8, 8), (1, 1, 1))
    torch.manual_seed(0)
    save_release(folder / "own.safetensors", StyleFeatures(config).state_dict(), config.to_json(), {})
    painter = load_painter("stylerwkv-s")
    return {
        "reader": painter.descriptor.features(painter.network),
        "vgg": feature_network(random_vgg(folder / "vgg.safetensors", 8), CPU),
        "own": feature_network(folder / "own.safetensors", CPU),
    }


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch):
    monkeypatch.setattr(measure, "has_fast_bf16", lambda: False)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_distance_of_textures_at_two_sizes_and_of_structure(networks, name):
    network, drawn = networks[name], (STYLES["warm-dots"], CONTENTS["lighthouse"], STYLES["ink-hatching"])
    painting, photo, style = (picture(draw, 64) for draw in drawn)
    with torch.no_grad():
        texture, structure = apart(
            network, painting, texture_of(network, style), structure_of(network, photo)
        )
        sizes = [(FINE, painting, style), (COARSE, halved(painting), halved(style))]
        wanted = sum(w * Texture.of(network.maps(b)).apart(network.maps(a)) for w, a, b in sizes)
        pairs = list(zip(network.maps(halved(painting)), network.maps(halved(photo)), strict=True))[2:]
        moved = sum(F.mse_loss(*map(instance_normalised, pair)) for pair in pairs) / 2
    assert texture.item() == pytest.approx(wanted.item(), rel=1e-3)
    assert structure.item() == pytest.approx(moved.item(), rel=1e-2)


@pytest.mark.parametrize("name", NETWORKS)
def test_in_tiles_it_is_the_same_and_so_are_its_gradients(networks, name, monkeypatch):
    network, size = networks[name], (139, 99)
    photo, style = (
        picture(CONTENTS["lighthouse"], 139)[..., : size[0], : size[1]],
        picture(STYLES["warm-dots"]),
    )
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    painting, found = (photo + 0.1 * noise).clamp(0, 1), []
    for whole in (10**9, 1):
        monkeypatch.setattr(measure, "_WHOLE", whole)
        monkeypatch.setattr(measure, "_TILE", 64)
        pixels = painting.clone().requires_grad_()
        aim = texture_of(network, style), structure_of(network, photo)
        texture, structure = apart(network, pixels, *aim)
        (texture.sqrt() + structure).sum().backward()
        found.append((texture.detach(), structure.detach(), pixels.grad))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3 * float(a.abs().max()))
    assert all(found[0][2][..., y, x].any() for y in (0, -1) for x in (0, -1))  # corners count, too


def test_a_network_of_ones_own_is_named(networks, tmp_path):
    with pytest.raises(WeightsError, match="no VGG-16"):
        save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
        feature_network(tmp_path / "other.safetensors", CPU)
    # Other programs say "pt" where ours say which version of our files it is.
    path = random_vgg(tmp_path / "vgg.safetensors", 8)
    save_file(load_file(path), path, {"format": "pt"})
    paint = Stylizer.from_pretrained(device="cpu", dtype="fp32")
    style = np.asarray(STYLES["ink-hatching"](64))
    by_vgg, by_reader = paint.encode_style(style, features=path), paint.encode_style(style, texture=True)
    photo = np.asarray(CONTENTS["lighthouse"](64))
    assert np.abs(by_vgg(photo, polish=2).astype(float) - by_reader(photo, polish=2)).max() > 2
