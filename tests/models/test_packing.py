"""Weights in eight bits: how exact, how small, and that they load."""

import torch
from safetensors.torch import load_file, save_file

from stylecli.models.packing import pack, unpack


def test_eight_bits_are_a_quarter_and_close():
    weights = {
        "reader.w": torch.randn(32, 16, 3, 3),
        "reader.bias": torch.randn(32),
        "paint.w": torch.randn(8, 8),
    }
    packed = pack(weights, ("reader.",))
    assert packed["reader.w"].dtype == torch.int8
    assert packed["reader.bias"].dtype == packed["paint.w"].dtype == torch.float16
    back = unpack(packed)
    assert back.keys() == weights.keys()
    largest = weights["reader.w"].abs().amax((1, 2, 3), keepdim=True)
    assert ((back["reader.w"] - weights["reader.w"]).abs() <= largest / 254 * 1.001).all()
    assert back["reader.w"].is_contiguous(memory_format=torch.channels_last)


def test_packing_again_changes_nothing(tmp_path):
    weights = {"reader.w": torch.randn(4, 5), "reader.zero": torch.zeros(3, 2)}
    once = pack(weights, ("reader.",))
    save_file(once, tmp_path / "a.safetensors")
    twice = pack(unpack(load_file(tmp_path / "a.safetensors")), ("reader.",))
    assert all(torch.equal(once[k], twice[k]) for k in once)
