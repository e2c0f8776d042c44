"""Phrases as looks: names that files can bear, blends, and what is refused."""

import pytest

from stylecli.errors import UsageError
from stylecli.run.looks import Prompt, collect_prompts, parse_prompt_blend, prompt_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Paul Gauguin style", "paul-gauguin-style"),
        ("ukiyo-e", "ukiyo-e"),
        ("Café, à la Miró!", "cafe-a-la-miro"),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_phrase_becomes_a_name(text, name):
    assert prompt_name(text) == name


@pytest.mark.parametrize("text", ["🌊", "浮世絵", "x", "very " * 2000, "\ud800", "."])
def test_what_names_cannot_say_gets_a_digest(text):
    name = prompt_name(text)
    assert name == prompt_name(text)
    assert name != prompt_name(text + "!")
    assert len(name) <= 48
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_phrases_are_looks_and_twice_the_same_is_once():
    looks = collect_prompts(["Paul  Gauguin style ", "ukiyo-e", "Paul Gauguin style"], [])
    assert [(look.name, look.parts) for look in looks] == [
        ("paul-gauguin-style", ((Prompt("Paul Gauguin style"), 1.0),)),
        ("ukiyo-e", ((Prompt("ukiyo-e"), 1.0),)),
    ]
    assert looks[0].files == []


def test_phrases_that_differ_in_punctuation_alone_keep_different_names():
    names = {look.name for look in collect_prompts(["old, rusty", "old rusty", "ukiyo-e"], [])}
    assert len(names) == 3
    assert "ukiyo-e" in names


def test_a_blend_of_phrases():
    look = parse_prompt_blend("Claude Monet:0.6, ukiyo-e:0.2")
    assert look.name == "claude-monet75-ukiyo-e25"
    assert [(p.text, round(share, 3)) for p, share in look.parts] == [
        ("Claude Monet", 0.75),
        ("ukiyo-e", 0.25),
    ]
    assert [share for _, share in parse_prompt_blend("a: tale,b").parts] == [0.5, 0.5]  # no weight: counts 1


@pytest.mark.parametrize(
    ("prompts", "blends", "said"),
    [
        ([], [], "no prompt given"),
        ([""], [], "the prompt is empty"),
        ([" \n"], [], "the prompt is empty"),
        ([], ["Claude Monet:0,ukiyo-e:0"], "above 0"),
        ([], ["Claude Monet:1,"], "the prompt is empty"),
        ([], [":1"], "the prompt is empty"),
    ],
)
def test_what_says_nothing_is_refused(prompts, blends, said):
    with pytest.raises(UsageError, match=said):
        collect_prompts(prompts, blends)
