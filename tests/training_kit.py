"""A VGG-16 file of the right format with random numbers in it, and folders of small pictures."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.training.rwkv import TrainConfig

_CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
_CONVOLUTIONS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3")


def random_vgg(path):
    generator = torch.Generator().manual_seed(0)
    tensors, inputs = {}, 3
    for name in _CONVOLUTIONS:
        outputs = _CHANNELS[name[0]]
        scale = (2 / (9 * inputs)) ** 0.5
        tensors[f"conv{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * scale
        tensors[f"conv{name}.bias"] = torch.zeros(outputs)
        inputs = outputs
    save_file({k: v.half() for k, v in tensors.items()}, path)
    return path


def pictures(folder, count, size=(70, 60)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        small = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def tiny_run(folder, **changes):
    """A run of a few seconds; ``changes`` are fields of TrainConfig."""
    data = folder / "data"
    if not data.exists():
        pictures(data / "content", 3)
        pictures(data / "style", 4)
        random_vgg(data / "vgg.safetensors")
    config = TrainConfig(
        content=[data / "content"],
        style=[data / "style"],
        vgg=data / "vgg.safetensors",
        steps=4,
        batch=2,
        crop=32,
        first_crop=32,
        save_every=2,
        network=StyleRwkvConfig(widths=(8, 8, 8, 8), stem=8, code=8),
    )
    return replace(config, **changes)
