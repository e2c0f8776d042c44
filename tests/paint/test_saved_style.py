"""A style that was saved paints what it painted before, and only with the network that encoded it."""

from __future__ import annotations

from dataclasses import replace
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


@pytest.mark.parametrize("phrase", ["", "ukiyo-e"])
def test_paints_the_same_after_a_way_through_a_file(
    like_an_image: Stylizer, tmp_path: Path, phrase: str
) -> None:
    stylizer = like_an_image.encode_prompt(phrase) if phrase else like_an_image
    assert stylizer.style is not None
    stylizer.style.save(tmp_path / "style.safetensors")
    again = stylizer.with_style(Style.load(tmp_path / "style.safetensors"))
    assert np.array_equal(again(PHOTO), stylizer(PHOTO))


def test_a_phrase_gives_detail_back_and_a_blend_its_share_of_that(like_an_image: Stylizer) -> None:
    like_a_phrase = like_an_image.encode_prompt("ukiyo-e")
    picture, phrase = like_an_image.style, like_a_phrase.style
    assert picture is not None and phrase is not None
    assert picture.detail == 0 < phrase.detail
    assert Style.blend([(picture, 1), (phrase, 3)]).detail == pytest.approx(0.75 * phrase.detail)

    def missing(detail: float) -> float:
        """Of the photograph's noise, beside areas that are the same whatever is given back."""
        painted = like_a_phrase.with_style(replace(phrase, detail=detail))(PHOTO)
        assert isinstance(painted, np.ndarray)
        lacking = PHOTO.astype(float) - painted
        return float(np.abs(np.diff(lacking, axis=1)).mean())

    none, some = missing(0.0), missing(0.5)
    assert 0.4 * none < some < 0.6 * none
    assert some < missing(phrase.detail) < none


def test_detail_is_given_back_in_strips_as_at_once(like_an_image: Stylizer) -> None:
    stylizer = like_an_image.encode_prompt("ukiyo-e")
    photo = np.asarray(Image.effect_noise((96, 320), 90).convert("RGB"))
    whole, strips = (np.asarray(replace(stylizer, tile=tile)(photo), float) for tile in (0, 64))
    assert np.abs(whole - strips).max() <= 1


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
