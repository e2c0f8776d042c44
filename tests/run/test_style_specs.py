"""Looks: --style and --blend, with every name a file can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylecli.errors import UsageError
from stylecli.run.style_specs import collect_styles, parse_blend


@pytest.fixture(autouse=True)
def _in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def read(text: str) -> dict[str, float]:
    return {str(path): pytest.approx(share) for path, share in parse_blend(text).parts}


@pytest.mark.parametrize(
    ("files", "text", "parts", "name"),
    [
        (["a.jpg", "b.jpg"], "a.jpg:0.7,b.jpg:0.3", {"a.jpg": 0.7, "b.jpg": 0.3}, "a70-b30"),
        (["a.jpg", "b.jpg"], "a.jpg:2,b.jpg:6", {"a.jpg": 0.25, "b.jpg": 0.75}, "a25-b75"),
        (["a.jpg", "b.jpg"], "a.jpg,b.jpg", {"a.jpg": 0.5, "b.jpg": 0.5}, "a50-b50"),
        (["a.jpg"], "a.jpg", {"a.jpg": 1}, "a100"),
        (["a,1.jpg", "b.jpg"], "a,1.jpg:1,b.jpg:1", {"a,1.jpg": 0.5, "b.jpg": 0.5}, "a,150-b50"),
        (["a:0.5", "b.jpg"], "a:0.5,b.jpg", {"a:0.5": 0.5, "b.jpg": 0.5}, None),
        (["a:0.5", "a", "b"], "a:0.5,b", {"a:0.5": 0.5, "b": 0.5}, None),
        (["C:/x.jpg", "b.jpg"], "C:/x.jpg:1,b.jpg:3", {"C:/x.jpg": 0.25, "b.jpg": 0.75}, "x25-b75"),
        (["a.jpg:1,b.jpg:1"], "a.jpg:1,b.jpg:1", {"a.jpg:1,b.jpg:1": 1}, None),
        (["a.jpg", "b.jpg"], "a.jpg:0,b.jpg:1", {"a.jpg": 0, "b.jpg": 1}, "a0-b100"),
        (["ä ö.jpg", "星.png"], "ä ö.jpg:1,星.png:1", {"ä ö.jpg": 0.5, "星.png": 0.5}, "ä ö50-星50"),
    ],
)
def test_blend_is_read(files: list[str], text: str, parts: dict[str, float], name: str | None) -> None:
    make(*files)
    assert read(text) == parts
    if name is not None:
        assert parse_blend(text).name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg:0.7,no.jpg:0.3", "'no.jpg' does not exist"),
        ("a.jpg:0.7,no.jpg", "'no.jpg'"),
        ("a.jpg:x,b.jpg:1", "the weight 'x'"),
        ("a.jpg:-1,b.jpg:1", "the weight '-1'"),
        ("a.jpg:nan,b.jpg:1", "the weight 'nan'"),
        ("a.jpg:inf,b.jpg:1", "the weight 'inf'"),
        ("a.jpg:,b.jpg:1", "the weight ''"),
        ("a.jpg:0,b.jpg:0", "at least one weight"),
        ("", "''"),
        ("a.jpg:1,", "''"),
        ("x" * 5000, "not an existing style image"),
    ],
)
def test_bad_blend_says_what_is_wrong(text: str, words: str) -> None:
    make("a.jpg", "b.jpg")
    with pytest.raises(UsageError) as caught:
        parse_blend(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_looks_keep_their_order_and_count_once() -> None:
    make("a.jpg", "b.jpg")
    specs = collect_styles([Path("b.jpg"), Path("a.jpg"), Path("b.jpg")], ["a.jpg:1,b.jpg:1"])
    assert [spec.name for spec in specs] == ["b", "a", "a50-b50"]


@pytest.mark.parametrize("given", ["folder", "folder/*.jpg"])
def test_a_folder_of_styles_means_each_of_them(given: str) -> None:
    make("folder/a.jpg", "folder/b10.jpg", "folder/b9.jpg", "folder/readme.txt")
    assert [spec.name for spec in collect_styles([Path(given), Path("folder/a.jpg")], [])] == [
        "a",
        "b9",
        "b10",
    ]


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        ([], "no style given"),
        (["no.jpg"], "no.jpg does not exist"),
        (["empty"], "is a folder without images"),
        (["none*.jpg"], "does not exist"),
        (["one/x.jpg", "two/X.png"], "rename one"),
    ],
)
def test_bad_styles(styles: list[str], words: str) -> None:
    make("empty/readme.txt", "one/x.jpg", "two/X.png")
    with pytest.raises(UsageError, match=words):
        collect_styles([Path(style) for style in styles], [])
