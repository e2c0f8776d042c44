"""StyleRWKV and its style reader, trained for real on small pictures."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_kit import TINY, TINY_READER, TINY_RWKV, NumbersSent, changed, painting_data, random_vgg, run

from stylecli.errors import InputError, UsageError, WeightsError
from stylecli.metrics.statistics import instance_normalised, statistics
from stylecli.metrics.vgg import Vgg16
from stylecli.models.registry import load_network, training_record
from stylecli.models.texture import Texture, halved
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
from stylecli.training.perceptual import COARSE, CONTENT
from stylecli.training.recipe import parse_recipe
from stylecli.training.recording import record
from stylecli.training.tasks import find_task
from stylecli.training.tasks.style_reader import Crops, RandomCrops, Teacher

QUICK = {"steps": 2, "optimizer__warm_up": 1}
LOSSES = ("content", "style", "strokes", "identity", "identity_features", "tv", "lattice")
VGG = ("content", "style", "strokes", "identity_features")
PLAIN = {f"losses__{name}": 0.0 for name in LOSSES}


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
    assert record["recipe"]["losses"]["strokes"] == 1.5
    assert record["recipe"]["network"] == TINY
    assert trained.with_name("sheet-000002.png").exists()
    assert "content" in trained.with_name("log.txt").read_text()


def test_released_weights_know_the_usual_style(data, trained):
    network = load_network(trained)
    styles = StyleImages(list_images([data / "style"]), 64)
    encoded = network.encode_style(styles.stack(range(len(styles)), torch.device("cpu")))
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
        **{**PLAIN, "losses__tv": 1.0, **changes},
    )
    recipe = parse_recipe(table, "recipe", data)
    task = find_task("style-rwkv")(recipe, Worker(0, 1, torch.device("cpu")), data)
    task.begin()
    return task


def terms(data, step=1, batch=2, weights=(), **changes):
    """Losses of one step; those that are not named are off."""
    named = {f"losses__{name}": 1.0 for name in weights}
    task = task_of(data, batch, **{"losses__tv": 0.0, **named, **changes})
    return task, task.terms(task.batch(step), step)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "identity"])
def test_a_loss_by_itself_reaches_the_decoder_and_nothing_else_is_computed(data, name):
    step = 0 if name == "identity_features" else 1
    task, found = terms(data, step, weights=[name])
    assert list(found) == [name]
    found[name].backward()
    gradient = task.model.decoder.head_out.weight.grad
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0 or (name == "lattice" and found[name] == 0)
    assert ("vgg" in vars(task.gallery)) == (name in VGG)


@pytest.mark.usefixtures("trained")
def test_pictures_that_are_to_be_themselves_have_no_style(data):
    _, styled = terms(data, 1, weights=["style", "strokes", "identity"])
    _, one_of_two = terms(data, 0, weights=["style", "strokes", "identity"])
    assert styled["identity"] == 0 < one_of_two["identity"]
    for name in ("style", "strokes"):
        assert one_of_two[name] < 0.75 * styled[name]


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("window", [16, 0])
def test_what_is_compared_is_what_vgg_sees(data, window):
    """By hand, from the files; textures are kept in float16 after the first time."""
    task, found = terms(
        data, weights=["content", "style", "strokes"], texture__window=window, texture__maps=3
    )
    batch, gallery = task.batch(1), task.gallery
    again = task.terms(batch, 1)
    for name, value in found.items():
        assert float(again[name].detach()) == float(value.detach())
    vectors = gallery.styles.stack(batch.drawn, torch.device("cpu"))
    output = task.model(batch.content, task.model.encode_style(vectors), seed=batch.seed)
    (y, x), side = batch.corner, window or 32
    seen, kept = (gallery.vgg(halved(p), COARSE) for p in (output, batch.content))
    pairs = [[instance_normalised(maps[k] / gallery.vgg.unit) for maps in (seen, kept)] for k in CONTENT]
    content = [(a - b).square().mean() for a, b in pairs]
    assert found["content"].item() == pytest.approx(torch.stack(content).mean().item(), rel=2e-3)
    close = gallery.vgg(output[..., y : y + side, x : x + side], list(COARSE)[:3])
    strokes = style = 0
    for i, number in enumerate(batch.drawn):
        picture = read_rgb(gallery.styles.paths[number])
        small, large = (gallery.vgg(to_tensor(centre_square(picture, n))[None], COARSE) for n in (32, 64))
        squared = Texture.of(list(small.values())).apart([seen[k][i : i + 1] for k in COARSE])
        layers = zip(list(large.values())[:3], close.values(), strict=True)
        squared += 0.5 * sum(Texture.of([a]).apart([b[i : i + 1]]) for a, b in layers)
        strokes += (squared + 1e-4).sqrt() / 2
        pairs = zip(COARSE.items(), gallery.spreads, strict=True)
        per_layer = [
            share * losses.style_loss(seen[k][i : i + 1], statistics(small[k]), s) for (k, share), s in pairs
        ]
        style += (torch.stack(per_layer).sum(0) + 1e-6).sqrt() / 2
    assert found["strokes"].item() == pytest.approx(strokes.item(), rel=2e-3)
    assert found["style"].item() == pytest.approx(style.item(), rel=5e-3)


@pytest.mark.usefixtures("trained")
def test_a_recorded_step_is_the_step(data, monkeypatch):
    """What a graphics card records (here nothing does): the same losses, and gradients for all that learns."""

    def make_graphed_callables(callables, *_, **__):
        assert not (torch.is_autocast_enabled("cpu") and torch.is_autocast_cache_enabled())  # torch refuses
        return callables

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make_graphed_callables)
    task, wanted = terms(data, weights=["content", "style", "strokes", "tv", "lattice"], texture__window=0)
    batch = task.batch(1)
    rows = [x for texture in task.gallery.textures(batch.drawn) for x in texture.rows()]
    style, inputs = task.style_vectors(batch), (batch.content, batch.styled, *rows)
    with torch.autocast("cpu", torch.bfloat16):
        recorded = record(task, style, inputs)
    torch.manual_seed(0)
    (painted,) = recorded.paint(batch.content, style)
    values = recorded.compare(painted, *inputs)
    for name, value in zip(task.compared, values, strict=True):
        assert value.item() == pytest.approx(wanted[name].item(), rel=0.2)  # other noise
    values.sum().backward()
    assert all(p.grad is not None for p in task.model.decoder.head_out.parameters())
    torch.manual_seed(0)
    with NumbersSent() as sent:
        assert torch.equal(recorded.paint(batch.content, style)[0], painted)
        recorded.compare(painted, *inputs)
    assert not sent.count


@pytest.mark.usefixtures("trained")
def test_guided_steps_paint_beyond_the_style(data):
    pictures = {}
    for share in (0.0, 1.0):
        task = task_of(data, painting={"guided": share}, network={"guidance": 2.0})
        batch = task.batch(1)
        wanted = task.model.encode_style(task.gallery.styles.stack(batch.drawn, torch.device("cpu")))
        wanted = task.model.guided(wanted) if share else wanted
        expected = guidance.total_variation(task.model(batch.content, wanted, seed=batch.seed))
        pictures[share] = task.terms(batch, 1)["tv"]
        torch.testing.assert_close(pictures[share], expected)
    assert pictures[0.0] != pictures[1.0]


@pytest.mark.usefixtures("trained")
def test_what_adds_to_the_code_learns_slowly(data):
    task = task_of(data, network={"mapping": 12, "experts": 2}, painting={"mapping_rate": 0.25})
    (full, most), (slow, few) = task.groups()
    assert (full, slow) == (1.0, 0.25)
    assert {id(p) for p in few} == {id(p) for p in task.model.mapping.parameters()}
    assert len(most) + len(few) == len(list(task.model.parameters()))


@pytest.mark.usefixtures("trained")
def test_vectors_are_kept_where_nothing_that_reads_styles_learns(data):
    frozen = task_of(data, freeze=["reader.", "style_encoder."])
    for part in (frozen.model.reader, frozen.model.style_encoder):
        part.requires_grad_(False)
    learning = task_of(data)
    for task in (frozen, learning):
        task.wanted = task.style_vectors(task.batch(1))
        task.again = task.style_vectors(task.batch(1))
        torch.testing.assert_close(task.wanted, task.again)
    torch.testing.assert_close(frozen.wanted, learning.wanted)
    assert learning.wanted.requires_grad and not frozen.wanted.requires_grad
    assert frozen.gallery._vectors and not learning.gallery._vectors


@pytest.mark.usefixtures("trained")
def test_more_styles_are_drawn_as_often_as_the_recipe_says(data):
    task = task_of(data, data__more=["content", "style"], data__more_every=2, data__more_share=0.25)
    targets = task.gallery  # 4 styles, and every second one of 3 + 4 pictures
    assert (targets.first, len(targets.styles)) == (4, 8)
    drawn = [targets.draw_style(generator(i), i % 4, 4) for i in range(4000)]
    assert set(drawn) == set(range(8))
    assert 0.23 < sum(n >= 4 for n in drawn) / 4000 < 0.27
    assert max(targets.some_styles()) < 4


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
        ({"texture__coarse_side": 60}, UsageError, r"texture\.coarse_side"),
        ({"texture__window": 40}, UsageError, r"texture\.window = 40"),
        ({"texture__maps": 5}, UsageError, "choose 1 to 4"),
        ({"data__more": ["style"], "data__more_every": 0}, UsageError, "more_every from 1"),
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
