"""Both conventions of VGG-16 files, and files that are neither."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_kit import random_vgg

from stylecli.errors import WeightsError
from stylecli.metrics.vgg import Vgg16

INDICES = {
    "1_1": 0,
    "1_2": 2,
    "2_1": 5,
    "2_2": 7,
    "3_1": 10,
    "3_2": 12,
    "3_3": 14,
    "4_1": 17,
    "4_2": 19,
    "4_3": 21,
}


def test_torchvision_and_caffe_agree(tmp_path):
    """The same network written down in both conventions gives the same features."""
    caffe = {name: t.float() for name, t in load_file(random_vgg(tmp_path / "caffe.safetensors")).items()}
    names = {
        f"conv{layer}.{part}": f"features.{n}.{part}"
        for layer, n in INDICES.items()
        for part in ("weight", "bias")
    }
    other = {names[name]: tensor for name, tensor in caffe.items()} | {"classifier.0.weight": torch.ones(3)}
    # Caffe: 255 * x - mean, blue first. torchvision: (x - its mean) / its deviation.
    theirs, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    ours = torch.tensor([123.68, 116.779, 103.939])
    rgb = caffe["conv1_1.weight"].flip(1)
    other["features.0.weight"] = rgb * (255 * deviation).view(1, 3, 1, 1)
    other["features.0.bias"] = caffe["conv1_1.bias"] + (rgb.sum((2, 3)) * (255 * theirs - ours)).sum(1)
    save_file(
        {name: tensor.contiguous() for name, tensor in other.items()}, tmp_path / "torchvision.safetensors"
    )

    x = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(1))
    layers = ("1_1", "3_3", "4_3")
    expected = Vgg16(tmp_path / "caffe.safetensors")(x, layers)
    result = Vgg16(tmp_path / "torchvision.safetensors")(x, layers)
    for layer in layers:
        torch.testing.assert_close(
            result[layer], expected[layer], rtol=1e-3, atol=1e-3 * expected[layer].abs().max()
        )


def test_caffe_input_is_what_it_was(tmp_path):
    vgg = Vgg16(random_vgg(tmp_path / "caffe.safetensors"))
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    expected = x.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    torch.testing.assert_close(((x - vgg.mean) * vgg.scale).flip(1), expected, rtol=1e-5, atol=1e-4)


def test_neither(tmp_path):
    save_file({"classifier.weight": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"no VGG-16 in it"):
        Vgg16(tmp_path / "other.safetensors")


def test_maps_in_their_units(tmp_path):
    path, x = random_vgg(tmp_path / "caffe.safetensors", 8), torch.rand(1, 3, 32, 32)
    found, small = (vgg(x, ("1_2", "4_3")) for vgg in (Vgg16(path), Vgg16(path, "4_3").in_units()))
    for name, seen in found.items():
        torch.testing.assert_close(small[name], seen / 128, rtol=1e-4, atol=1e-5)
