"""The text-image encoder: prompts and pictures of every kind, its file, and the weights that ship."""

import pytest
import torch
from siglip_kit import tiny_network

from stylecli.errors import WeightsError
from stylecli.models.registry import training_record
from stylecli.models.siglip import Siglip, load_siglip
from stylecli.training.checkpoint import save_release
from stylecli.weights import locate

ODD = [
    "",
    " ",
    "\n\t",
    "🎨🖌️",
    "x" * 10_000,
    "blue sky " * 5_000,
    "синее небо",
    "青い空",
    "\ud83c",
    "\x00",
    "a" * 41,
]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return Siglip(tiny_network()).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def shipped():
    return load_siglip(locate("siglip-s"))


def unit(points):
    return bool(torch.isfinite(points).all()) and torch.allclose(points.norm(dim=1), torch.ones(len(points)))


def test_any_text_has_a_place(tiny):
    points = tiny.encode_text(ODD)
    assert points.shape == (len(ODD), 24)
    assert points.dtype == torch.float32
    assert unit(points)
    assert torch.isfinite(tiny.in_domain_score(ODD)).all()
    assert tiny.encode_text([]).shape == (0, 24)


def test_a_prompt_does_not_depend_on_its_neighbours(tiny):
    prompts = ["red", "the red sky of a blue stone", ""]
    together = tiny.encode_text(prompts)
    alone = torch.cat([tiny.encode_text([p]) for p in prompts])
    assert torch.allclose(together, alone, atol=1e-6)


def test_case_accents_and_length_beyond_the_limit_change_nothing(tiny):
    a, b = tiny.encode_text(["Réd SKY", "red sky"])
    assert torch.allclose(a, b, atol=1e-5)  # rows of one batch may be added up in another order
    a, b = tiny.encode_text(["red " * 15, "red " * 900])
    assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (33, 71), (128, 40), (201, 97)])
def test_any_picture_has_a_place(tiny, size):
    assert unit(tiny.encode_image(torch.rand(2, 3, *size)))


def test_a_picture_does_not_depend_on_its_neighbours(tiny):
    images = torch.rand(3, 3, 48, 40)
    alone = torch.cat([tiny.encode_image(image[None]) for image in images])
    assert torch.allclose(tiny.encode_image(images), alone, atol=1e-5)


def test_gradients_reach_the_pixels_even_of_a_flat_picture(tiny):
    for image in (torch.rand(1, 3, 40, 40), torch.full((1, 3, 40, 40), 0.5)):
        image.requires_grad_()
        tiny.encode_image(image)[0, 0].backward()
        assert torch.isfinite(image.grad).all()
        assert image.grad.abs().max() > 0


def test_a_file_gives_the_same_numbers(tiny, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_release(path, tiny.state_dict(), tiny.config.to_json(), {"text": {"steps": 3}})
    again = load_siglip(path)
    assert not again.training
    assert again.config == tiny.config
    prompts, images = ["red sky", "", "🎨"], torch.rand(2, 3, 40, 50)
    # The file is in half precision.
    assert torch.allclose(again.encode_text(prompts), tiny.encode_text(prompts), atol=5e-3)
    assert torch.allclose(again.encode_image(images), tiny.encode_image(images), atol=5e-3)
    twice = tmp_path / "twice.safetensors"
    save_release(twice, again.state_dict(), again.config.to_json(), training_record(path))
    assert torch.equal(load_siglip(twice).encode_text(prompts), again.encode_text(prompts))
    assert training_record(twice) == {"text": {"steps": 3}}


def test_what_is_no_weights_is_named(tiny, tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        load_siglip(tmp_path / "missing.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        load_siglip(tmp_path / "bad.safetensors")
    path = tmp_path / "other.safetensors"
    save_release(path, {"a": torch.zeros(2)}, tiny.config.to_json(), {})
    with pytest.raises(WeightsError, match="not weights of siglip"):
        load_siglip(path)
    save_release(path, {"a": torch.zeros(2)}, '{"width": 3, "colour": 1}', {})
    with pytest.raises(WeightsError, match="not weights of siglip"):
        load_siglip(path)
    with pytest.raises(WeightsError, match="not weights of siglip"):
        load_siglip(locate("stylerwkv-s"))


def closest(model, prompt, others):
    return others[int((model.encode_text(others) @ model.encode_text([prompt])[0]).argmax())]


@pytest.mark.parametrize(
    ("prompt", "near", "far"),
    [
        ("painting by van gogh", "Vincent van Gogh style", "pixel art"),
        ("rusty old machine", "rusty metal texture", "watercolour of flowers"),
        ("children's crayon drawing", "a child's drawing", "marble texture"),
        ("a stormy sea at night", "dark waves", "green meadow"),
        ("soft pastel colours", "pastel drawing", "lava"),
        ("japanese print", "ukiyo-e woodblock print", "circuit board"),
    ],
)
def test_shipped_text_tower_knows_what_phrases_have_to_do_with_each_other(shipped, prompt, near, far):
    assert closest(shipped, prompt, [far, near]) == near


def test_shipped_weights_tell_familiar_prompts_from_foreign_ones(shipped):
    sensible = [
        "Paul Gauguin style",
        "ukiyo-e woodblock print",
        "a stormy sea at night",
        "rusty old machine",
        "children's crayon drawing",
        "soft pastel colours",
        "an oil painting of a harbour at dawn",
        "made of cracked glass",
        "gloomy watercolour with black outlines",
        "comic book",
    ]
    strange = [
        "xqzvb wkjrt pffgh zzxcq",
        "ein stürmisches meer in der nacht, gemalt wie vor hundert jahren",
        "бурное море ночью",
        "夜の荒れた海",
        "🎨🖌️🌊",
        "asdfjkl qwerpoiu zxcvmnb",
    ]
    assert (shipped.in_domain_score(sensible) >= shipped.config.threshold).all()
    assert (shipped.in_domain_score(strange) < shipped.config.threshold).all()


def test_shipped_image_tower_sees_what_phrases_say(shipped):
    """Drawn here, since no picture of the training comes with the package: colours, and drawing against texture."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 96, 96, generator=generator) * 0.15
    blue = noise + torch.tensor([0.1, 0.2, 0.65])[:, None, None]
    red = noise + torch.tensor([0.7, 0.1, 0.1])[:, None, None]
    points = shipped.encode_image(torch.cat([blue, red]).clamp(0, 1))
    texts = shipped.encode_text(["blue and purple", "red and orange"])
    likeness = points @ texts.T
    assert likeness[0, 0] > likeness[1, 0]
    assert likeness[1, 1] > likeness[0, 1]
