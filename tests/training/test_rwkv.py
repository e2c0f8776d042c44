"""The training loop, run for real on small pictures."""

import pytest
import torch
from safetensors.torch import load_file
from training_kit import tiny_run

from stylecli.errors import InputError, UsageError, WeightsError
from stylecli.models.registry import load_network, training_record
from stylecli.training.data import StyleImages, list_images
from stylecli.training.rwkv import train


def same(a, b):
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_an_interrupted_run_resumes_exactly(tmp_path):
    whole = train(tiny_run(tmp_path, out=tmp_path / "whole", decay_from=1.0))
    train(tiny_run(tmp_path, out=tmp_path / "parts", decay_from=1.0, steps=2))
    parts = train(tiny_run(tmp_path, out=tmp_path / "parts", decay_from=1.0))
    assert same(whole, parts)
    assert same(tmp_path / "whole" / "checkpoint.safetensors", tmp_path / "parts" / "checkpoint.safetensors")


def test_released_weights_load_and_say_how_they_were_made(tmp_path):
    path = train(tiny_run(tmp_path, out=tmp_path / "run", steps=2))
    network = load_network(path)
    assert network(torch.rand(1, 3, 40, 33), network.encode_style(torch.rand(1, 3, 32, 32))).shape[2:] == (
        40,
        33,
    )
    assert training_record(path)["step"] == 2


def test_released_weights_know_the_usual_style(tmp_path):
    config = tiny_run(tmp_path, out=tmp_path / "run", steps=2, lr=0.0)
    network = load_network(train(config))
    styles = StyleImages(list_images(config.style))
    encoded = torch.cat([network.encode_style(styles[i][None]) for i in range(len(styles))])
    assert len(styles) > 1
    torch.testing.assert_close(network.usual, encoded.mean(0), rtol=0.02, atol=0.02)  # float16


def test_workers_share_a_batch(tmp_path):
    one = train(tiny_run(tmp_path, out=tmp_path / "one", steps=2))
    two = train(tiny_run(tmp_path, out=tmp_path / "two", steps=2, workers=2))
    pairs = zip(load_network(one).parameters(), load_network(two).parameters(), strict=True)
    difference = max((a - b).abs().max() for a, b in pairs)
    # Not equal: every worker has a fine-texture window of its own. But the same training, to a small step.
    assert 0 < difference < 0.01


def test_bfloat16_teaches_nearly_the_same(tmp_path):
    exact = load_network(train(tiny_run(tmp_path, out=tmp_path / "exact", steps=2)))
    coarse = load_network(train(tiny_run(tmp_path, out=tmp_path / "coarse", steps=2, bf16=True)))
    # What was learned; the usual style is measured, and rounded to float16 where statistics are large.
    pairs = zip(exact.parameters(), coarse.parameters(), strict=True)
    difference = max((a - b).abs().max() for a, b in pairs)
    assert 0 < difference < 0.01


def test_sheets_are_drawn(tmp_path):
    config = tiny_run(tmp_path, out=tmp_path / "run", steps=2, sheet_every=2)
    config.val_content, config.val_style = config.content[0], config.style[0]
    train(config)
    assert (tmp_path / "run" / "sheet-000002.png").exists()


def test_what_cannot_be_trained_on_is_named(tmp_path):
    config = tiny_run(tmp_path, out=tmp_path / "run")
    with pytest.raises(UsageError, match="multiples of 32"):
        train(tiny_run(tmp_path, out=tmp_path / "run", crop=100))
    with pytest.raises(UsageError, match="cannot be shared"):
        train(tiny_run(tmp_path, out=tmp_path / "run", batch=3, workers=2))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no images"):
        train(tiny_run(tmp_path, out=tmp_path / "run", style=[tmp_path / "empty"]))
    (config.style[0] / "broken.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.jpg"):
        train(config)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        train(tiny_run(tmp_path, out=tmp_path / "run", vgg=tmp_path / "bad.safetensors"))
