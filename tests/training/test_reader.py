"""The style reader's training, run for real on small pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_kit import pictures, random_vgg, tiny_run

from stylecli.errors import UsageError
from stylecli.metrics.statistics import statistics
from stylecli.models.registry import load_network, training_record
from stylecli.models.style_rwkv.config import StyleRwkvConfig
from stylecli.training.data import list_images
from stylecli.training.reader import Crops, ReaderTrainConfig, Teacher, train
from stylecli.training.rwkv import train as train_painting

NETWORK = StyleRwkvConfig(widths=(8, 8, 8, 8), stem=8, code=8, reader=(8, 8, 8), reader_blocks=(1, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    pictures(folder / "style", 6)
    random_vgg(folder / "vgg.safetensors")
    return folder


def run(data, out, **changes):
    config = ReaderTrainConfig([data / "style"], data / "vgg.safetensors", out, network=NETWORK)
    return replace(config, **{"steps": 4, "batch": 2, "crop": 32, "save_every": 2} | changes)


def error(path, data):
    """Mean absolute error of the reading, in spreads, on crops that training did not see."""
    config = run(data, path.parent)
    crops = Crops(list_images(config.images), 64)
    teacher, reader = Teacher(config, crops), load_network(path).reader
    images = torch.stack([crops(np.random.default_rng([2, i])) for i in range(8)])
    wanted = torch.cat([statistics(x) for x in teacher(images)], 1)
    return float((reader(images) * 16 - (wanted - teacher.mean) / teacher.spread).abs().mean())


def test_it_learns_what_the_teacher_sees(data, tmp_path):
    before = train(run(data, tmp_path / "before", steps=1))
    after = train(run(data, tmp_path / "after", steps=150, batch=4, lr=5e-3, ema=0.9))
    assert error(after, data) < 0.7 * error(before, data)


def test_an_interrupted_run_resumes_exactly(data, tmp_path):
    whole = load_file(train(run(data, tmp_path / "whole", decay_from=1.0)))
    train(run(data, tmp_path / "parts", decay_from=1.0, steps=2))
    parts = load_file(train(run(data, tmp_path / "parts", decay_from=1.0)))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_what_is_warm_started_keeps_its_painting_and_trains_on(data, tmp_path):
    first = train_painting(tiny_run(tmp_path, out=tmp_path / "first", steps=2, network=NETWORK))
    read = train(run(data, tmp_path / "read", warm_start=first))
    a, b = load_file(first), load_file(read)
    changed = {k.split(".")[0] for k in a if not torch.equal(a[k], b[k])}
    assert changed == {"reader"}
    assert training_record(read)["step"] == 4
    painted = train_painting(
        tiny_run(tmp_path, out=tmp_path / "second", steps=2, network=NETWORK, warm_start=read)
    )
    c = load_file(painted)
    assert all(torch.equal(b[k], c[k]) for k in b if k.startswith("reader."))
    assert not torch.equal(b["read.weight"], c["read.weight"])


def test_bad_sizes_are_named(data, tmp_path):
    with pytest.raises(UsageError, match="multiples of 8"):
        train(run(data, tmp_path, crop=30))
    with pytest.raises(UsageError, match="shared by 3 workers"):
        train(run(data, tmp_path, workers=3))
