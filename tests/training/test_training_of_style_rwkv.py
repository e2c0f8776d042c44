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
from stylecli.paint import guidance
from stylecli.training import losses
from stylecli.training.data import (
    StyleImages,
    centre_square,
    draw,
    generator,
    list_images,
    read_rgb,
    to_tensor,
)
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import COARSE, half
from stylecli.training.recipe import parse_recipe
from stylecli.training.tasks import find_task
from stylecli.training.tasks.style_reader import Crops, RandomCrops, Teacher
from stylecli.training.texture import TEXTURE

WINDOW = {"texture__window": 16}
QUICK = {"steps": 2, "optimizer__warm_up": 1}
OFF = ("content", "style", "fine", "identity", "identity_features", "tv")
VGG = ("content", "fine", "identity_features")
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


def task_of(data, batch=2, **changes):
    """A task with the weights that ``trained`` left; no loss but total variation."""
    table = changed(
        TINY_RWKV,
        batch=batch,
        warm_start="trained/release.safetensors",
        texture={"reader": "trained/release.safetensors", "side": 64, "others": 2, "window": 16},
        **{**PLAIN, "losses__tv": 1.0, **changes},
    )
    recipe = parse_recipe(table, "recipe", data)
    task = find_task("style-rwkv")(recipe, Worker(0, 1, torch.device("cpu")), data)
    task.begin()
    return task


def terms(data, step=1, batch=2, **weights):
    """Losses of one step; those that are not named are off."""
    named = {f"losses__{name}": weight for name, weight in weights.items()}
    task = task_of(data, batch, **{"losses__tv": 0.0, **named})
    return task, task.terms(task.batch(step), step)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("name", sorted({*TEXTURE, "tv", "strokes", *VGG}))
def test_a_loss_by_itself_reaches_the_decoder_and_nothing_else_is_computed(data, name):
    step = 0 if name == "identity_features" else 1
    task, found = terms(data, step, **{name: 1.0})
    assert list(found) == [name]
    found[name].backward()
    gradient = task.model.decoder.head_out.weight.grad
    assert gradient.isfinite().all() and gradient.abs().max() > 0
    assert ("vgg" in vars(task.targets)) == (name in ("strokes", *VGG))


@pytest.mark.usefixtures("trained")
def test_losses_of_texture_leave_out_pictures_that_are_to_be_themselves(data):
    weights = {"gram": 1.0, "strokes": 1.0, "identity": 1.0}
    _, styled = terms(data, 1, **weights)
    _, one_of_two = terms(data, 0, **weights)
    assert styled["identity"] == 0 < one_of_two["identity"]
    for name in ("gram", "strokes"):
        assert one_of_two[name] < 0.75 * styled[name]


@pytest.mark.usefixtures("trained")
def test_strokes_of_a_task_are_those_of_its_maps(data):
    """Kept in float16 after the first time, and weighed at two scales."""
    task, found = terms(data, strokes=1.0)
    again = task.terms(task.batch(1), 1)["strokes"]
    assert float(again.detach()) == float(found["strokes"].detach())  # from what was kept
    batch, strokes = task.batch(1), task.strokes
    output = task.model(batch.content, task.model.encode_style(batch.style), seed=1)
    (y, x), squared = batch.corner, 0
    coarse = task.targets.vgg(half(output), COARSE)
    for i, number in enumerate(batch.drawn):
        small, large = (images.read(number)[None] for images in (strokes.coarse, strokes.fine))
        wanted = task.targets.vgg(small, COARSE)
        one = losses.gram_loss([coarse[k][i : i + 1] for k in COARSE], list(wanted.values()))
        maps = (strokes.reader.maps(p)[:3] for p in (output[i : i + 1, :, y : y + 16, x : x + 16], large))
        squared += (one.square() + 0.5 * losses.gram_loss(*maps).square()).sqrt() / len(batch.drawn)
    assert found["strokes"].item() == pytest.approx(squared.item(), rel=2e-3)


@pytest.mark.usefixtures("trained")
def test_guided_steps_paint_beyond_the_style(data):
    pictures = {}
    for share in (0.0, 1.0):
        task = task_of(data, painting={"guided": share}, network={"guidance": 2.0})
        batch = task.batch(1)
        assert batch.guided == bool(share)
        wanted = task.model.encode_style(batch.style)
        wanted = task.model.guided(wanted) if share else wanted
        expected = guidance.total_variation(task.model(batch.content, wanted, seed=1))
        pictures[share] = task.terms(batch, 1)["tv"]
        torch.testing.assert_close(pictures[share], expected)
    assert pictures[0.0] != pictures[1.0]


@pytest.mark.usefixtures("trained")
def test_more_styles_are_drawn_as_often_as_the_recipe_says(data):
    task = task_of(data, data__more=["content", "style"], data__more_every=2, data__more_share=0.25)
    targets = task.targets  # 4 styles, and every second one of 3 + 4 pictures
    assert (targets.first, len(targets.styles)) == (4, 8)
    drawn = [targets.draw_style(generator(i), i % 4, 4) for i in range(4000)]
    assert set(drawn) == set(range(8))
    assert 0.23 < sum(n >= 4 for n in drawn) / 4000 < 0.27
    assert max(targets.some_styles()) < 4


@pytest.mark.usefixtures("trained")
def test_styles_can_be_centred_unmirrored_and_seen_at_a_size_of_their_own(data):
    task = task_of(data, crops__centred=True, crops__mirrored=False, crops__seen=32)
    assert not any(any(task.batch(step).flipped) for step in range(8))
    file = task.targets.styles.paths[0]
    for images, side in ((task.targets.styles, 64), (task.targets.seen, 32)):
        assert torch.equal(images[0], to_tensor(centre_square(read_rgb(file), side)))


def test_the_usual_style_stays_where_nothing_that_reads_styles_learns(data, trained):
    changes = {"warm_start": "trained/release.safetensors", "freeze": ["reader.", "style_encoder."]}
    again = run(data, TINY_RWKV, "unread-usual", **QUICK, **changes, crops__style=32)
    assert torch.equal(load_network(trained).usual, load_network(again).usual)


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
        ({"texture__window": 40, "losses__strokes": 1.0}, UsageError, r"texture\.window = 40"),
        ({"texture__window_maps": 5, **WINDOW, "losses__strokes": 1.0}, UsageError, "choose 1 to 4"),
        ({"data__more": ["style"], "data__more_every": 0}, UsageError, "more_every from 1"),
        ({"data__vgg_unit": 0.0}, UsageError, r"data\.vgg_unit"),
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
