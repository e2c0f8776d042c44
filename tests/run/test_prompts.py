"""Phrases as styles: names that files can bear, blends, and what is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from stylecli.errors import UsageError
from stylecli.run.painters import resolve
from stylecli.run.style_specs import collect_prompts, collect_styles, parse_blend, prompt_name
from stylecli.run.style_text import Prompt


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
    specs = collect_prompts(["Paul  Gauguin style ", "ukiyo-e", "Paul Gauguin style"], [])
    assert [(spec.name, spec.parts) for spec in specs] == [
        ("paul-gauguin-style", ((Prompt("Paul Gauguin style"), 1.0),)),
        ("ukiyo-e", ((Prompt("ukiyo-e"), 1.0),)),
    ]
    assert specs[0].files == []


def test_phrases_that_differ_in_punctuation_alone_keep_different_names():
    names = {spec.name for spec in collect_prompts(["old, rusty", "old rusty", "ukiyo-e"], [])}
    assert len(names) == 3
    assert "ukiyo-e" in names


def test_a_blend_of_phrases():
    spec = parse_blend("Claude Monet:0.6, ukiyo-e:0.2")
    assert spec.name == "claude-monet75-ukiyo-e25"
    assert [(p.text, round(share, 3)) for p, share in spec.parts] == [
        ("Claude Monet", 0.75),
        ("ukiyo-e", 0.25),
    ]
    assert [share for _, share in parse_blend("a: tale,b").parts] == [0.5, 0.5]  # no weight: counts 1


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


def test_pictures_and_phrases_are_blended(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("starry.jpg").write_bytes(b"x")
    for text in ('starry.jpg:0.5,"ukiyo-e":0.5', "starry.jpg:1,ukiyo-e:1", "starry.jpg, ukiyo-e"):
        spec = parse_blend(text)
        assert spec.name == "starry50-ukiyo-e50"
        assert spec.parts == ((Path("starry.jpg"), 0.5), (Prompt("ukiyo-e"), 0.5))
        assert spec.files == [Path("starry.jpg")]
    spec = parse_blend('"water, lilies":3,starry.jpg')
    assert spec.parts == ((Prompt("water, lilies"), 0.75), (Path("starry.jpg"), 0.25))
    for missing in ("no.jpg", "folder/no", "no.PNG:0.5"):
        with pytest.raises(UsageError, match="no"):
            parse_blend(f"ukiyo-e,{missing}")


def test_takes_of_a_phrase_are_looks_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("starry.jpg").write_bytes(b"x")
    specs = collect_styles([Path("starry.jpg")], ["starry.jpg,pop art"], ["ukiyo-e"], takes=2)
    names = ["starry", "ukiyo-e", "ukiyo-e-2", "starry50-pop-art50", "starry50-pop-art50-2"]
    assert [spec.name for spec in specs] == names
    assert specs[2].parts == ((Prompt("ukiyo-e", 1), 1.0),)
    assert len({spec.fingerprint() for spec in specs}) == 5
    # A phrase that is called as a picture is gets another name.
    Path("ukiyo-e.jpg").write_bytes(b"x")
    first, second = collect_styles([Path("ukiyo-e.jpg")], [], ["ukiyo-e"])
    assert first.name == "ukiyo-e" and second.name.startswith("ukiyo-e-")


def test_takes_need_a_network_that_knows_several_styles_of_a_phrase():
    one, other = collect_prompts(["ukiyo-e"], [], takes=2)
    for vector_size in (0, 4):
        stylizer = SimpleNamespace(vector_size=vector_size, encode_prompt=lambda text, take: (text, take))
        assert resolve(stylizer, one, Path.read_bytes) == ("ukiyo-e", 0)
        if vector_size:
            assert resolve(stylizer, other, Path.read_bytes) == ("ukiyo-e", 1)
        else:
            with pytest.raises(UsageError, match=r"--takes: .* --model stylerwkv-s"):
                resolve(stylizer, other, Path.read_bytes)
