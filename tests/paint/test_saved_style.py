"""A style that was saved paints what it painted before, and only with the network that encoded it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecli.errors import UsageError, WeightsError
from stylecli.paint.style import Style
from stylecli.paint.stylizer import Stylizer

PHOTO = np.asarray(Image.effect_noise((48, 40), 90).convert("RGB"))
PAINTING = Image.radial_gradient("L").resize((64, 64)).convert("RGB")


@pytest.fixture(scope="module")
def like_an_image() -> Stylizer:
    return Stylizer.from_pretrained("stylerwkv-s", device="cpu").encode_style(PAINTING)


def test_paints_the_same_after_a_way_through_a_file(like_an_image: Stylizer, tmp_path: Path) -> None:
    assert like_an_image.style is not None
    like_an_image.style.save(tmp_path / "style.safetensors")
    again = like_an_image.with_style(Style.load(tmp_path / "style.safetensors"))
    assert np.array_equal(again(PHOTO), like_an_image(PHOTO))


def test_a_style_of_another_network_is_refused_in_both_directions(like_an_image: Stylizer) -> None:
    like_a_phrase = Stylizer.from_pretrained("stylemamba-s", device="cpu").encode_prompt("a watercolor")
    assert like_an_image.style is not None and like_a_phrase.style is not None
    for network, style in ((like_an_image, like_a_phrase.style), (like_a_phrase, like_an_image.style)):
        with pytest.raises(UsageError, match="another network"):
            network.with_style(style)


def test_a_file_that_is_no_style_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no style")
    with pytest.raises(WeightsError, match=r"x\.safetensors: not a saved style"):
        Style.load(tmp_path / "x.safetensors")
