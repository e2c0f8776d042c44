"""The feature network's training on small pictures: what it learns from, and that it learns."""

import pytest
import torch
from training_kit import changed, pictures, random_vgg, run

from stylecli.errors import UsageError
from stylecli.models.registry import load_network, training_record
from stylecli.training.disturb import blended, cropped, recoloured, spoiled
from stylecli.training.parallel import Worker
from stylecli.training.recipe import parse_recipe
from stylecli.training.tasks.style_features import StyleFeaturesTask

TINY = {
    "task": "style-features",
    "steps": 2,
    "batch": 4,
    "dtype": "fp32",
    "device": "cpu",
    "data": {"content": ["content"], "style": ["style"], "vgg": "vgg.safetensors"},
    "crops": {"size": 24, "kept": 32},
    "pool": {"size": 6},
    "network": {"trunk": [8, 8, 8, 8], "trunk_blocks": [1, 1, 1]},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    pictures(folder / "content", 3)
    pictures(folder / "style", 4)
    random_vgg(folder / "vgg.safetensors")
    return folder


def task(data, **changes):
    recipe = parse_recipe(changed(TINY, **changes), "recipe", data)
    return StyleFeaturesTask(recipe, Worker(0, 1, torch.device("cpu")), data)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_released_weights_load_in_eight_bits(data, dtype):
    path = run(data, TINY, dtype, dtype=dtype)
    assert training_record(path)["step"] == 2
    network = load_network(path, "style-features")
    maps = network(torch.rand(1, 3, 40, 36))
    assert [tuple(x.shape[1:]) for x in maps] == [(64, 40, 36), (128, 20, 18), (256, 10, 9), (512, 5, 5)]
    assert all(float(unit.std()) > 0 for unit in network.units)


def test_pictures_of_the_pool_come_nearer_to_their_artworks_as_the_network_sees_them(data):
    """Steps along its gradient that change what it sees, but no other picture of the pool."""
    own = task(data, pool__steps=1e9)
    new, before, places = own.batch(0)
    others = [i for i in range(6) if i not in places]
    kept = own.pool.clone()
    own.terms((new, before, places), 0)
    assert torch.equal(own.pool[others], kept[others])
    assert torch.equal(kept[places], before) and not torch.equal(own.pool[places], before)
    assert float((own.pool - kept).abs().mean()) < 9 / 255


def test_it_learns_and_all_of_it(data):
    own = task(data)
    optimizer = torch.optim.Adam(own.module.parameters(), 3e-3)
    new, before, places = own.batch(0)
    found = []
    for step in range(30):
        terms = own.terms((new, before, places), step)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        assert all(p.grad is not None for p in own.module.parameters())
        optimizer.step()
        found.append({name: value.item() for name, value in terms.items()})
    for name in ("places", "textures"):
        assert found[-1][name] < 0.9 * found[0][name], found


def test_what_a_step_draws_follows_from_its_number(data):
    one, other = task(data), task(data)
    other.batch(3)
    assert all(torch.equal(a, b) for a, b in zip(one.batch(5), other.batch(5), strict=True))


@pytest.mark.parametrize("change", [blended, cropped, recoloured, spoiled], ids=lambda f: f.__name__)
def test_pictures_are_changed_and_stay_pictures(change):
    image = torch.rand(8, 3, 48, 48)
    more = {blended: (image.flip(0),), cropped: ()}.get(change, ())
    generator = torch.Generator().manual_seed(0)
    sizes = (32, 0.5, 1.0) if change is cropped else ()
    made = change(image, *more, generator, *sizes)
    assert made.shape[-2:] == ((32, 32) if sizes else (48, 48))
    assert made.min() >= 0 and made.max() <= 1 and made.std() > 0.05
    assert made.shape != image.shape or not torch.equal(made, image)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"batch": 6}, "multiple of 4"), ({"crops__size": 20}, "multiples of 8")],
)
def test_settings_that_cannot_be(data, change, said):
    with pytest.raises(UsageError, match=said):
        task(data, **change)
