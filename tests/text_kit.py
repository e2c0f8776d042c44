"""Captioned pictures, and tiny text-guided networks with random weights, in the files that the real ones have."""

import csv
import json
import string
from dataclasses import asdict

import torch
from training_kit import TINY, pictures, random_vgg

from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.siglip import Siglip, SiglipConfig
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.models.style_rwkv.model import StyleRwkv
from stylecli.training.checkpoint import save_release

NETWORK = StyleMambaConfig(latent=4, code=8, widths=(8, 8, 8), blocks=(1, 1, 1), state=2, rank=2)
WORDS = ["[PAD]", "[UNK]", "[START]", *string.ascii_lowercase]
WORDS += [f"##{letter}" for letter in WORDS[3:]] + ["photo", "monet", "painting", "style", "rock"]


def tiny_siglip(seed=0):
    torch.manual_seed(seed)
    config = SiglipConfig(
        vocabulary=" ".join(WORDS),
        text_width=12,
        text_layers=1,
        text_heads=2,
        image_widths=(8, 8, 8, 8),
        image_blocks=(1, 1, 1, 1),
        centres=4,
    )
    return Siglip(config).eval().requires_grad_(False)


def tiny_autoencoder():
    torch.manual_seed(0)
    return Autoencoder(AutoencoderConfig(latent=4, coarse=8, fine=8)).eval().requires_grad_(False)


def tiny_reader():
    """A StyleRWKV that sees styles."""
    torch.manual_seed(0)
    config = StyleRwkvConfig.from_json(json.dumps(TINY))
    return StyleRwkv(config).eval().requires_grad_(False)


def captioned(folder):
    """Eight artworks of two classes (held out is every fourth of each), two photographs."""
    pictures(folder / "style", 8)
    pictures(folder / "content", 2)
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "kind", "artist", "movement", "medium", "title", "caption"])
        for i in range(8):
            artist, medium = ("Claude Monet", "") if i < 4 else ("", "rock")
            caption = f"a {artist} painting" if artist else medium
            table.writerow([f"style/{i}.png", "style", artist, "", medium, "harbour at dawn", caption])
        for i in range(2):
            table.writerow([f"content/{i}.png", "content", "", "", "", "", "a photo"])
    return folder


def text_data(folder):
    """Everything that StyleMamba is trained on, in ``folder``."""
    folder.mkdir(exist_ok=True)
    captioned(folder)
    random_vgg(folder / "vgg.safetensors", 8)
    autoencoder, siglip = tiny_autoencoder(), tiny_siglip()
    save_release(folder / "ae.safetensors", autoencoder.state_dict(), autoencoder.config.to_json(), {})
    save_release(folder / "siglip.safetensors", siglip.state_dict(), siglip.config.to_json(), {})
    reader = tiny_reader()
    save_release(folder / "reader.safetensors", reader.state_dict(), reader.config.to_json(), {})
    return folder


TINY_MAMBA = {
    "task": "style-mamba",
    "steps": 4,
    "batch": 2,
    "device": "cpu",
    "dtype": "fp32",
    "save_every": 2,
    "data": {
        "content": ["content"],
        "style": ["style"],
        "vgg": "vgg.safetensors",
        "autoencoder": "ae.safetensors",
        "siglip": "siglip.safetensors",
        "reader": "reader.safetensors",
    },
    "crops": {"size": 64, "first": 64, "style": 64},
    "texture": {"side": 64, "window": 0},
    "network": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(NETWORK).items()}
    | {"style": tiny_reader().style_size, "components": 4, "hidden": 16},
}
