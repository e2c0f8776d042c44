"""StyleRWKV and its style reader, trained for real on small pictures."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_kit import TINY, TINY_READER, TINY_RWKV, changed, painting_data, random_vgg, run

from stylecli.errors import InputError, UsageError, WeightsError
from stylecli.metrics.statistics import statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.models.registry import load_network, training_record
from stylecli.training.data import StyleImages, draw, generator, list_images
from stylecli.training.parallel import Worker
from stylecli.training.recipe import parse_recipe
from stylecli.training.tasks import find_task
from stylecli.training.tasks.style_reader import Crops, RandomCrops, Teacher
from stylecli.training.texture import TEXTURE

QUICK = {"steps": 2, "optimizer__warm_up": 1}
OFF = ("content", "style", "fine", "identity", "identity_features", "tv")
PLAIN = {f"losses__{name}": 0.0 for name in OFF}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = painting_data(tmp_path_factory.mktemp("data"))
    random_vgg(folder / "whole.safetensors")
    return folder


@pytest.fixture(scope="module")
def trained(data):
    return run(data, TINY_RWKV, "trained", **QUICK, data__val_content="content", data__val_style="style")


def test_released_weights_load_and_say_how_they_were_made(trained):
    network = load_network(trained)
    painted = network(torch.rand(1, 3, 40, 33), network.encode_style(torch.rand(1, 3, 32, 32)))
    assert painted.shape[2:] == (40, 33)
    record = training_record(trained)
    assert record["step"] == 2
    assert record["recipe"]["losses"]["style"] == 2.0
    assert record["recipe"]["network"] == TINY
    assert trained.with_name("sheet-000002.png").exists()
    assert "content" in trained.with_name("log.txt").read_text()


def test_released_weights_know_the_usual_style(data, trained):
    network = load_network(trained)
    styles = StyleImages(list_images([data / "style"]), 64)
    encoded = torch.cat([network.encode_style(styles[i][None]) for i in range(len(styles))])
    assert len(styles) > 1
    torch.testing.assert_close(network.usual, encoded.mean(0), rtol=0.02, atol=0.02)  # float16


def test_what_is_frozen_stays_and_a_warm_start_is_recorded(data, trained):
    changes = {"warm_start": "trained/release.safetensors", "freeze": ["reader.", "content_encoder."]}
    again = run(data, TINY_RWKV, "again", **QUICK, **changes, network={"guidance": 0.5})
    before, after = load_file(trained), load_file(again)
    changed_parts = {k.split(".")[0] for k in before if not torch.equal(before[k], after[k])}
    assert {"reader", "content_encoder"}.isdisjoint(changed_parts) and "decoder" in changed_parts
    assert load_network(again).config.guidance == 0.5
    assert load_network(again).config.widths == (8, 8, 8, 8)  # from the weights that it began with
    assert training_record(again)["warm_start"]["recipe"]["steps"] == 2


def test_bfloat16_teaches_nearly_the_same(data, trained):
    coarse = load_network(run(data, TINY_RWKV, "coarse", **QUICK, dtype="bf16"))
    # What was learned; the usual style is measured, and rounded to float16 where statistics are large.
    pairs = zip(load_network(trained).parameters(), coarse.parameters(), strict=True)
    difference = max((a - b).abs().max() for a, b in pairs)
    assert 0 < difference < 0.01


def terms(data, step=1, batch=2, **losses):
    """Losses of one step of the weights that ``trained`` left; those that are not named are off."""
    table = changed(
        TINY_RWKV,
        batch=batch,
        warm_start="trained/release.safetensors",
        texture={"reader": "trained/release.safetensors", "side": 64, "others": 2},
        **PLAIN,
    )
    table["losses"] |= losses
    recipe = parse_recipe(table, "recipe", data)
    task = find_task("style-rwkv")(recipe, Worker(0, 1, torch.device("cpu")), data)
    task.begin()
    return task, task.terms(task.batch(step), step)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("name", sorted({*TEXTURE, "lattice", "tv", "content", "fine", "identity_features"}))
def test_a_loss_by_itself_reaches_the_decoder_and_nothing_else_is_computed(data, name):
    step = 0 if name == "identity_features" else 1
    task, found = terms(data, step, **{name: 1.0})
    assert list(found) == [name]
    found[name].backward()
    gradient = task.model.decoder.head_out.weight.grad
    assert gradient.isfinite().all() and gradient.abs().max() > 0
    assert ("vgg" in vars(task.targets)) == (name in ("content", "fine", "identity_features"))


@pytest.mark.usefixtures("trained")
def test_losses_of_texture_leave_out_pictures_that_are_to_be_themselves(data):
    losses = {"gram": 1.0, "identity": 1.0}
    _, styled = terms(data, 1, **losses)
    _, one_of_two = terms(data, 0, **losses)
    assert styled["identity"] == 0 < one_of_two["identity"]
    assert one_of_two["gram"] < 0.75 * styled["gram"]


@pytest.mark.parametrize("total", [1, 3, 4, 10])
def test_places_draw_from_disjoint_sets_where_there_is_enough(total):
    drawn = [{draw(generator(i), total, place, 4) for i in range(60)} for place in range(4)]
    assert set.union(*drawn) == set(range(total))
    if total >= 4:
        assert sum(map(len, drawn)) == total


def test_what_cannot_be_trained_on_is_named(data, tmp_path):
    for changes, kind, says in (
        ({"crops__size": 100}, UsageError, "multiples of 32"),
        ({"data__style": ["empty"]}, UsageError, "no images"),
        ({"data__style": ["broken"]}, InputError, r"broken\.jpg"),
        ({"data__vgg": "bad.safetensors"}, WeightsError, r"bad\.safetensors"),
        ({"data__vgg": "missing.safetensors"}, WeightsError, r"missing\.safetensors"),
        ({"texture__side": 60, "losses__gram": 1.0}, UsageError, r"texture\.side"),
        (PLAIN, UsageError, "every weight is 0"),
        ({"freeze": [""]}, UsageError, "nothing to learn"),
        ({"warm_start": "stylerwkv-s"}, UsageError, "network: of other sizes than stylerwkv-s"),
    ):
        (data / "broken").mkdir(exist_ok=True)
        (data / "empty").mkdir(exist_ok=True)
        (data / "broken" / "broken.jpg").write_text("no picture")
        (data / "bad.safetensors").write_bytes(b"nothing")
        with pytest.raises(kind, match=says):
            run(data, TINY_RWKV, tmp_path.name, **changes)


def reading_error(path, data):
    """Mean absolute error of the reading, in spreads, on crops that training did not see."""
    crops = RandomCrops(list_images([data / "style"]), Crops(size=64))
    teacher = Teacher(Vgg16(data / "whole.safetensors"), crops, 20)
    images = torch.stack([crops(np.random.default_rng([2, i])) for i in range(8)])
    wanted = torch.cat([statistics(x) for x in teacher(images)], 1)
    reading = load_network(path).reader(images) * 16
    return float((reading - (wanted - teacher.mean) / teacher.spread).abs().mean())


def test_the_reader_learns_what_the_teacher_sees_and_painting_goes_on_with_it(data, trained):
    table = changed(
        TINY_READER, data__vgg="whole.safetensors", warm_start="trained/release.safetensors", network={}
    )
    before = run(data, table, "unread", steps=1)
    after = run(data, table, "read", steps=60, batch=4, optimizer__lr=1e-2, optimizer__warm_up=5, ema=0.9)
    assert reading_error(after, data) < 0.8 * reading_error(before, data)
    a, b = load_file(trained), load_file(after)
    assert {k.split(".")[0] for k in a if not torch.equal(a[k], b[k])} == {"reader"}
    with pytest.raises(UsageError, match="multiples of 8"):
        run(data, table, "bad", crops__size=30)
