"""Phrases and the artworks that they lean on, in the prior that ships."""

import pytest
import torch

from stylecli.models.registry import load_network
from stylecli.models.siglip import load_siglip
from stylecli.models.style_prior.model import StylePrior
from stylecli.weights import locate


@pytest.fixture(scope="module")
def prior():
    network = load_network(locate("styleprior-s"), "style-prior")
    assert isinstance(network, StylePrior)
    return network


@pytest.fixture(scope="module")
def encode():
    encoder = load_siglip(locate("siglip-s"))

    def encode(texts):
        with torch.inference_mode():
            return encoder.encode_text(texts)

    return encode


def named(prior, encode, phrase):
    """The surest label of each of a phrase's spots, without looks."""
    found = [max(spot.labels, key=lambda label: label[1])[0] for spot in prior.spots(phrase, encode)]
    return {f"{prior.kinds[n]} {prior.names[prior.carried[n]]}" for n in found if prior.kinds[n] != "look"}


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("Paul Gauguin style", {"artist paul gauguin"}),
        ("in the manner of Hokusai", {"artist katsushika hokusai"}),
        ("Joan Miró", {"artist joan miro"}),  # accents
        ("a painting by Gaugin", {"artist paul gauguin"}),  # a letter is missing
        ("van Gogh, night", {"artist vincent van gogh", "word night"}),
        ("a Monet of mosaic tiles", {"artist claude monet", "medium mosaic tiles"}),
        ("wood", {"medium wood"}),  # not Grant Wood
        ("Japanese woodblock print", {"kind japanese", "medium woodblock print"}),
        ("watercolor painting", {"kind watercolour"}),
        ("oil painting with thick brush strokes", {"kind oil painting"}),
    ],
)
def test_words_of_a_phrase_name_labels(prior, encode, phrase, wanted):
    assert named(prior, encode, phrase) == wanted


@pytest.mark.parametrize("phrase", ["", "?!", "🎨", "xqzt blorp", "the of in", "a " * 300, "東京の夜"])
def test_a_phrase_that_names_nothing_has_a_style_too(prior, encode, phrase):
    vector = prior.imagine(phrase, encode).vector
    assert vector.shape == (1, prior.config.style) and vector.isfinite().all()


def test_a_name_leans_on_its_artworks_and_says_so(prior, encode):
    for phrase, name in (("Vincent van Gogh style", "vincent van gogh"), ("ukiyo-e", "ukiyo-e")):
        leaned = prior.imagine(phrase, encode).leaned
        assert leaned and all(name in what.lower() for what, _ in leaned)
        assert sum(share for _, share in leaned) == pytest.approx(1, abs=0.05)
    both = dict(prior.imagine("half Claude Monet, half cubism", encode).leaned)
    assert any("Monet" in what for what in both) and any("cubism" in what for what in both)


@pytest.mark.parametrize(
    "phrase", ["Vincent van Gogh", "Claude Monet, water lilies", "autumn forest", "pop art"]
)
def test_takes_of_one_phrase_differ_and_repeat(prior, encode, phrase):
    takes = [prior.space(prior.imagine(phrase, encode, seed).vector)[0] for seed in range(4)]
    again = prior.space(prior.imagine(phrase, encode, 2).vector)[0]
    assert torch.equal(takes[2], again)
    usual = float(torch.cdist(prior.components, prior.components).mean())
    assert all(float((a - b).norm()) > 0.2 * usual for i, a in enumerate(takes) for b in takes[:i])
    # None of them is as dull as a mean of all that the phrase names.
    own = prior.attention(prior.spots(phrase, encode)) @ prior.components
    assert all(float(take.norm()) > 0.8 * float(own.norm()) for take in takes)


@pytest.mark.parametrize(
    ("plain", "said", "measure", "sign"),
    [
        ("Claude Monet", "Claude Monet at night", 0, -1),  # light
        ("Claude Monet", "pale Claude Monet", 0, 1),
        ("pop art", "black and white pop art", 2, -1),  # saturation
        ("rococo", "colourful rococo", 2, 1),
        ("cubism", "cubism in cold colours", 3, -1),  # warmth
    ],
)
def test_words_of_light_and_colour_move_a_style(prior, encode, plain, said, measure, sign):
    before, after = (
        float(prior.space(prior.imagine(phrase, encode).vector)[0] @ prior.slopes[:, measure])
        for phrase in (plain, said)
    )
    assert sign * (after - before) > 0.3


@pytest.mark.parametrize(
    ("phrase", "take"), [("quiet snowy village", 1), ("desert mirage", 0), ("foggy graveyard", 1)]
)
def test_no_style_is_so_pale_that_a_photograph_vanishes(prior, encode, phrase, take):
    style = prior.space(prior.imagine(phrase, encode, take).vector)[0]
    contrast = float(style @ prior.slopes[:, 1])  # below -1 in all three without the floor
    assert contrast > -0.65
