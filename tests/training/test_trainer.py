"""The training loop, run for real on small pictures: repetition, resumption, workers, averages."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from training_kit import TINY_READER, TINY_RWKV, changed, painting_data, random_vgg, run, same

from stylecli.errors import UsageError
from stylecli.files.atomic import WriteError
from stylecli.models.registry import training_record
from stylecli.training.checkpoint import load_checkpoint, load_record, save_checkpoint
from stylecli.training.recipe import Optimizer
from stylecli.training.schedule import rate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return painting_data(tmp_path_factory.mktemp("data"))


def checkpoint(out):
    return load_checkpoint(out / "checkpoint.safetensors")


def test_fifty_steps_twice_are_the_same_bits(data):
    """With every kind of loss, and at a rate at which a different bit would grow."""
    changes = {"steps": 50, "optimizer__warm_up": 1, "optimizer__lr": 3e-3, "losses__lattice": 1.0}
    one, two = (run(data, TINY_RWKV, out, **changes) for out in ("a", "b"))
    assert same(one, two)
    assert same(one.with_name("checkpoint.safetensors"), two.with_name("checkpoint.safetensors"))


def test_a_step_of_two_workers_is_a_step_of_one(data):
    """After one step Adam's first moment is a tenth of the gradient: compared directly, so that no learning rate can
    hide a difference. Rounding, magnified where channels hardly vary, leaves 4e-4 of it; a gradient of half of the
    batch, which is what one worker has by itself, is 0.3 off."""
    moments, weights = {}, {}
    # At 32 pixels the deepest map has a single place, and normalising it would magnify rounding.
    common = {
        "steps": 1,
        "optimizer__lr": 0.01,
        "optimizer__warm_up": 1,
        "crops__first": 64,
        "crops__size": 64,
    }
    for out, changes in {
        "one": {**common, "batch": 4, "workers": 1},
        "two": {**common, "batch": 4, "workers": 2},
        "half": {**common, "batch": 2, "workers": 1},
    }.items():
        run(data, TINY_RWKV, out, **changes)
        parts, _ = checkpoint(data / out)
        moments[out] = torch.cat(
            [v.flatten() for k, v in sorted(parts["adam"].items()) if k.endswith("exp_avg")]
        )
        weights[out] = torch.cat([v.flatten() for _, v in sorted(parts["model"].items())])

    def apart(found, name):
        return float((found[name] - found["one"]).norm() / found["one"].norm())

    assert apart(moments, "two") < 2e-3 < 0.1 < apart(moments, "half")
    assert apart(weights, "two") < 0.1 * apart(weights, "half")


def test_a_worker_s_error_is_one_line(data):
    with pytest.raises(UsageError, match="no parameter of style-rwkv begins with 'nothing'"):
        run(data, TINY_RWKV, "bad", workers=2, freeze=["nothing"])


def test_another_recipe_is_not_resumed(data):
    run(data, TINY_RWKV, "first", steps=1, losses__tv=0.0)
    before = (data / "first" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(UsageError, match=r"optimizer.lr was 0.001 and is 0.5 now"):
        run(data, TINY_RWKV, "first", steps=1, losses__tv=0.0, optimizer__lr=0.5)
    with pytest.raises(UsageError, match=r"losses.tv was 0.0 and is 0.3 now"):
        run(data, TINY_RWKV, "first", steps=1)
    assert (data / "first" / "checkpoint.safetensors").read_bytes() == before
    left = data / "first" / ".stylize-00000000-00000000-1-00000000.part"  # by a run that was killed
    left.touch()
    os.utime(left, (0, 0))
    run(data, TINY_RWKV, "first", steps=1, losses__tv=0.0, save_every=7)  # changes no number
    assert not left.exists()
    run(data, TINY_RWKV, "first", fresh=True, steps=1, optimizer__lr=0.5)
    assert load_record(data / "first" / "checkpoint.safetensors")["recipe"]["optimizer"]["lr"] == 0.5


def test_a_file_that_there_is_no_room_for_leaves_the_old_one(tmp_path):
    resource = pytest.importorskip("resource")
    path, usual = tmp_path / "checkpoint.safetensors", resource.getrlimit(resource.RLIMIT_FSIZE)
    save_checkpoint(path, {"model": {"w": torch.ones(3)}}, {"step": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, usual[1]))
    try:
        with pytest.raises(WriteError, match=r"checkpoint\.safetensors: cannot be written: larger"):
            save_checkpoint(path, {"model": {"w": torch.ones(10_000)}}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert load_record(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_style_reader_in_bfloat16(data):
    """What ``dtype = "auto"`` takes where the processor has it, as README begins with."""
    random_vgg(data / "whole.safetensors")
    path = run(data, TINY_READER, "reader", steps=1, dtype="bf16", data__vgg="whole.safetensors")
    assert all(value.isfinite().all() for value in load_file(path).values())


def test_learning_rate_warms_up_holds_and_falls():
    settings = Optimizer(lr=1.0, decay_from=0.5, warm_up=100, floor=0.02)
    rates = [rate(settings, s, s / 1000) for s in (0, 99, 499, 750, 999)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[1] == rates[2] == 1.0
    assert 0.4 < rates[3] < 0.6
    assert 0.02 < rates[4] < 0.03


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_its_step_and_goes_on_from_there(data, tmp_path, number):
    """As Ctrl-C and as timeout(1) end it, in a process of its own."""
    recipe = changed(TINY_RWKV, steps=100_000, save_every=100_000)
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    code = (
        "import json, sys; from pathlib import Path; from stylecli.training.recipe import parse_recipe\n"
        "from stylecli.training.trainer import train\n"
        "train(parse_recipe(json.load(open(sys.argv[1])), 'recipe', Path(sys.argv[2])), Path(sys.argv[3]))"
    )
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "recipe.json", data, out], stderr=subprocess.PIPE
    )
    while not (out / "log.txt").exists():  # every 50 steps
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert "KeyboardInterrupt" in said and process.returncode
    record = load_record(out / "checkpoint.safetensors")
    assert 50 <= record["step"] < 100_000
    assert training_record(out / "release.safetensors")["step"] == record["step"]


def test_a_run_ends_with_its_minutes_and_is_whole(data):
    changes = {"steps": 100_000, "minutes": 1 / 120, "save_every": 100_000}
    path = run(data, TINY_RWKV, "short", **changes)
    record = load_record(path.with_name("checkpoint.safetensors"))
    assert 1 <= record["step"] < 10_000 and 0.5 <= record["seconds"] < 5
    again = run(data, TINY_RWKV, "short", **changes)  # nothing is left to do
    assert load_record(again.with_name("checkpoint.safetensors"))["step"] == record["step"]
    with pytest.raises(UsageError, match="with a single worker"):
        run(data, TINY_RWKV, "two", **changes, workers=2)
