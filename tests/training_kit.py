"""A VGG-16 file of the right format with random numbers in it, folders of small pictures, and tiny recipes."""

from copy import deepcopy

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode

from stylecli.training.recipe import parse_recipe
from stylecli.training.trainer import train

_CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
_CONVOLUTIONS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3")

TINY = {
    "widths": [8, 8, 8, 8],
    "content_blocks": [0, 0, 0, 1],
    "style_blocks": [0, 0, 0, 1],
    "decoder_blocks": [0, 0, 1, 1],
    "texture_convs": [0, 1, 0, 0],
    "stem": 8,
    "code": 8,
    "reader": [8, 8, 8],
    "reader_blocks": [1, 1],
}
"""A StyleRWKV of little more than its heads."""


def random_vgg(path, divide=1):
    """``divide``: by how much it is narrower than the real one, and quicker."""
    generator = torch.Generator().manual_seed(0)
    tensors, inputs = {}, 3
    for name in _CONVOLUTIONS:
        outputs = _CHANNELS[name[0]] // divide
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


def painting_data(folder):
    """Photographs, styles and a VGG-16 in ``folder``."""
    pictures(folder / "content", 3)
    pictures(folder / "style", 4)
    random_vgg(folder / "vgg.safetensors", 8)
    return folder


TINY_RWKV = {
    "task": "style-rwkv",
    "steps": 4,
    "batch": 2,
    "dtype": "fp32",
    "device": "cpu",
    "save_every": 2,
    "release_every": 100,
    "data": {"content": ["content"], "style": ["style"], "vgg": "vgg.safetensors"},
    "crops": {"size": 32, "first": 32, "style": 64},
    "texture": {"side": 64, "coarse_side": 32, "window": 16},
    "network": TINY,
}
TINY_READER = {
    "task": "style-reader",
    "steps": 4,
    "batch": 2,
    "dtype": "fp32",
    "device": "cpu",
    "save_every": 2,
    "data": {"images": ["style"], "vgg": "vgg.safetensors"},
    "crops": {"size": 32, "samples": 20},
    "network": TINY,
}


def changed(table, **changes):
    """A copy of a recipe's table; ``optimizer__lr=1`` is the key optimizer.lr."""
    table = deepcopy(table)
    for key, value in changes.items():
        *inner, last = key.split("__")
        place = table
        for name in inner:
            place = place.setdefault(name, {})
        place[last] = value
    return table


def run(folder, table, out, *, fresh=False, **changes):
    """Train as ``table`` with some changes says, on the data in ``folder``; the path of the weights."""
    return train(parse_recipe(changed(table, **changes), "recipe", folder), folder / out, fresh)


def same(a, b):
    """Whether two safetensors files hold the same bits."""
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class NumbersSent(TorchDispatchMode):
    """Counts tensors made of Python's numbers: on a card they have to be sent there, which cannot be recorded."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten.lift_fresh.default
        return function(*args, **(kwargs or {}))
