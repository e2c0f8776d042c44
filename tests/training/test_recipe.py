"""Recipes: what is read, what is refused and how, and that all that ship are good."""

import pytest
from training_kit import TINY_RWKV, changed

from stylecli.errors import UsageError
from stylecli.training.recipe import SHIPPED, difference, load_recipe, parse_recipe
from stylecli.training.tasks import TASKS


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.toml")))
def test_recipes_that_ship_say_what_they_train(name):
    recipe = load_recipe(name)
    assert recipe.steps > 100
    assert recipe.table["optimizer"]["lr"] == recipe.optimizer.lr > 0


def test_every_network_has_a_recipe():
    assert {load_recipe(path.stem).task for path in SHIPPED.glob("*.toml")} == TASKS.keys()


def test_values_reach_the_recipe_and_those_not_given_have_defaults(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'task = "style-rwkv"\nsteps = 7\nbatch = 2\nfreeze = ["reader."]\n[data]\ncontent = ["photos"]\n'
        'style = ["art"]\n[losses]\nlattice = 2\n[network]\nguidance = 0.3\nwidths = [8, 8, 8, 8]\n'
    )
    recipe = load_recipe(str(file), None, ["losses.tv=0.5", "seed=3", "data.vgg=other.safetensors"])
    assert (recipe.steps, recipe.seed, recipe.freeze) == (7, 3, ("reader.",))
    assert (recipe.own.losses.lattice, recipe.own.losses.tv, recipe.own.losses.style) == (2.0, 0.5, 1.0)
    assert recipe.own.network == {"guidance": 0.3, "widths": (8, 8, 8, 8)}
    assert recipe.own.data.vgg == "other.safetensors"
    assert recipe.path("photos") == tmp_path / "photos"  # relative to the file ...
    assert (
        load_recipe(str(file), tmp_path / "data").path("photos") == tmp_path / "data" / "photos"
    )  # ... or --data


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"losses__styl": 3}, r"unknown key losses\.styl; the nearest known one is losses\.style"),
        ({"stepps": 3}, "unknown key stepps; the nearest known one is steps"),
        ({"network__width": 3}, r"unknown key network\.width; the nearest known one is network\.widths"),
        ({"steps": "many"}, "steps = 'many': must be a whole number"),
        ({"steps": 2.5}, "steps = 2.5: must be a whole number"),
        ({"steps": 0}, "steps = 0: at least 1"),
        ({"optimizer__lr": float("nan")}, r"optimizer\.lr = nan: must be a finite number"),
        ({"optimizer__betas": [0.9]}, r"optimizer\.betas = \[0\.9\]: must be a list"),
        ({"data__content": "photos"}, r"data\.content = 'photos': must be a list"),
        ({"losses": 3}, "losses = 3: must be a table|unknown key losses"),
        ({"data": {"content": ["a"]}}, r"data\.style is missing"),
        ({"task": "cooking"}, "task = 'cooking'; choose one of"),
        ({"batch": 3, "workers": 2}, "a batch of 3 cannot be shared by 2 workers"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named_with_its_key(change, says):
    with pytest.raises(UsageError, match=says) as error:
        parse_recipe(changed(TINY_RWKV, **change), "mine.toml")
    assert str(error.value).startswith("mine.toml: ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "overrides", "says"),
    [
        ("nothing", [], "neither a file nor a recipe that ships; those are autoencoder, "),
        ("broken.toml", [], r"broken\.toml: not a recipe"),
        ("stylerwkv", ["steps"], "--set steps: write it as key=value"),
        ("stylerwkv", ["steps.more=1"], r"--set steps\.more=1: steps is no table"),
        ("stylerwkv", ["losses.latticem=1"], r"the nearest known one is losses\.lattice"),
    ],
)
def test_what_cannot_be_read_is_one_line(name, overrides, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text("steps = ")
    with pytest.raises(UsageError, match=says):
        load_recipe(name, None, overrides)


def test_differences_of_recipes():
    one = parse_recipe(TINY_RWKV).table
    assert difference(one, parse_recipe(changed(TINY_RWKV, save_every=9)).table) is None
    other = parse_recipe(changed(TINY_RWKV, data__style=["elsewhere"])).table
    assert difference(one, other) == "data.style was ['style'] and is ['elsewhere'] now"
    assert difference(one, one | {"new": 1}) == "new was None and is 1 now"
