"""The plan: names of results, collisions, what is finished, what is our own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stylecli.errors import UsageError
from stylecli.media import output_suffix
from stylecli.media.formats import writer_for
from stylecli.run.events import STREAM
from stylecli.run.plan import Naming, Plan, Stdin, make_plan


@dataclass(frozen=True)
class Found:
    path: Path
    root: Path | None = None


@pytest.fixture(autouse=True)
def _in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan(
    *inputs: str | Found | Stdin,
    styles: tuple[str, ...] = ("starry",),
    output: str | None = None,
    format: str | None = None,
    **options: Any,
) -> Plan:
    found = [Found(Path(one)) if isinstance(one, str) else one for one in inputs]
    return make_plan(found, styles, Naming(output, format, output_suffix, writer_for), **options)


def names(made: Plan) -> list[str]:
    return [str(task.target) for task in made.todo]


def under(root: str, *names: str) -> list[Found]:
    return [Found(Path(root) / name, Path(root)) for name in names]


@pytest.mark.parametrize(
    ("inputs", "options", "targets"),
    [
        (["photos/a.jpg"], {}, ["photos/a.starry.jpg"]),
        (["a.jpg", "a.png"], {}, ["a.starry.jpg", "a.starry.png"]),
        (["a.gif"], {}, ["a.gif.starry.png"]),
        (["a.gif", "a.psd", "a.png"], {}, ["a.gif.starry.png", "a.psd.starry.png", "a.starry.png"]),
        (["a.gif"], {"format": "png"}, ["a.starry.png"]),
        (["a.JPG"], {}, ["a.starry.jpg"]),
        (["a.b.jpg"], {}, ["a.b.starry.jpg"]),
        (["a.jpg"], {"format": "webp"}, ["a.starry.webp"]),
        (["a.jpg"], {"styles": ("x", "y")}, ["a.x.jpg", "a.y.jpg"]),
        (["a.jpg"], {"output": "b.png"}, ["b.png"]),
        (["a.jpg"], {"output": "out"}, ["out/a.starry.jpg"]),
        (["a.jpg"], {"output": "out.png/"}, ["out.png/a.starry.jpg"]),
        (["a.jpg"], {"output": "b.jpeg", "format": "jpg"}, ["b.jpeg"]),
        (["x/a.jpg", "y/b.jpg"], {"output": "out"}, ["out/a.starry.jpg", "out/b.starry.jpg"]),
        (["a.jpg", "b.jpg"], {"output": "out.v2"}, ["out.v2/a.starry.jpg", "out.v2/b.starry.jpg"]),
        (["a.jpg"], {"output": "-"}, ["-"]),
        (["a.jpg", "./a.jpg"], {}, ["a.starry.jpg"]),
    ],
)
def test_targets(inputs: list[str], options: dict[str, Any], targets: list[str]) -> None:
    assert names(plan(*inputs, **options)) == targets


def test_existing_folder_with_a_suffix_is_a_folder() -> None:
    Path("out.png").mkdir()
    assert names(plan("a.jpg", output="out.png")) == ["out.png/a.starry.jpg"]


def test_tree_is_mirrored() -> None:
    found = under("photos", "a.jpg", "sub/a.jpg", "sub/deep/a.jpg")
    assert names(plan(*found, output="out")) == [
        "out/a.starry.jpg",
        "out/sub/a.starry.jpg",
        "out/sub/deep/a.starry.jpg",
    ]


def test_styles_of_one_input_stand_side_by_side() -> None:
    made = plan("a.jpg", "b.jpg", styles=("x", "y"))
    assert [str(task.source) for task in made.todo] == ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({}, STREAM),
        ({"output": "b.jpg"}, Path("b.jpg")),
        ({"output": "out/"}, Path("out/stdin.starry.png")),
    ],
)
def test_stdin(options: dict[str, Any], target: Path) -> None:
    assert [task.target for task in plan(Stdin(), **options).todo] == [target]


@pytest.mark.parametrize(
    ("inputs", "options", "words"),
    [
        (["a.jpg", "a.png"], {"format": "png"}, "a.jpg and a.png would both become a.starry.png"),
        (["x/a.jpg", "y/a.jpg"], {"output": "out"}, "x/a.jpg and y/a.jpg would both become"),
        (["x/a.jpg", "y/A.jpg"], {"output": "out"}, "would both become"),
        (["x/\u00e4.jpg", "y/a\u0308.jpg"], {"output": "out"}, "would both become"),
        (["a.jpg", "b.jpg"], {"output": "out.png"}, "looks like a file"),
        (["a.jpg"], {"output": "out.png", "styles": ("x", "y")}, "looks like a file"),
        (["a.jpg", "b.jpg"], {"output": "-"}, "one input and one style"),
        (["a.jpg"], {"output": "a.jpg", "overwrite": True}, "is the input itself"),
        (["a.jpg"], {"output": "./a.jpg"}, "is the input itself"),
        (
            ["a.jpg"],
            {"output": "s.jpg", "kept": {Path("s.jpg"): "the style image"}},
            "is the style image itself",
        ),
        (["a.jpg"], {"output": "b.xyz"}, "not a format"),
        (["a.jpg"], {"output": "b.jpg", "format": "png"}, "contradict"),
        (["a.jpg"], {"format": "xyz"}, "--format xyz"),
        (["a.jpg"], {"output": "taken"}, "is a file, not a folder"),
        (["a.jpg", "b.jpg"], {"output": "taken.png"}, "name a folder"),
        (["f.jpg"], {}, "is a folder"),
    ],
)
def test_refused_before_any_work(inputs: list[str], options: dict[str, Any], words: str) -> None:
    Path("taken").write_bytes(b"")
    Path("taken.png").write_bytes(b"")
    Path("f.starry.jpg").mkdir()
    with pytest.raises(UsageError) as caught:
        plan(*inputs, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_input_asked_for_but_missing_still_makes_several() -> None:
    with pytest.raises(UsageError, match="looks like a file"):
        plan("a.jpg", output="out.png", several=True)


def test_finished_ones_are_kept_apart() -> None:
    Path("a.starry.jpg").write_bytes(b"")
    made = plan("a.jpg", "b.jpg")
    assert names(made) == ["b.starry.jpg"]
    assert [str(task.target) for task in made.finished] == ["a.starry.jpg"]
    assert names(plan("a.jpg", "b.jpg", overwrite=True)) == ["a.starry.jpg", "b.starry.jpg"]


def test_own_results_beside_the_input_are_no_inputs() -> None:
    Path("a.starry.jpg").write_bytes(b"")
    made = plan("a.jpg", "a.starry.jpg", "b.jpg")
    assert names(made) == ["b.starry.jpg"]
    assert made.own == (Path("a.starry.jpg"),)


def test_own_results_in_other_styles_are_known_by_their_mark() -> None:
    ours = {Path("a.wave.jpg")}
    made = plan("a.jpg", "a.wave.jpg", "a.edited.jpg", "c.wave.jpg", made_by_us=ours.__contains__)
    assert made.own == (Path("a.wave.jpg"),)
    assert names(made) == ["a.starry.jpg", "a.edited.starry.jpg", "c.wave.starry.jpg"]


def test_a_result_named_alone_is_an_input() -> None:
    assert names(plan("a.wave.jpg", made_by_us=lambda path: True)) == ["a.wave.starry.jpg"]


def test_output_folder_inside_the_input_folder_is_not_searched() -> None:
    found = under("photos", "a.jpg", "out/a.wave.jpg", "sub/b.jpg")
    assert names(plan(*found, output="photos/out")) == [
        "photos/out/a.starry.jpg",
        "photos/out/sub/b.starry.jpg",
    ]
    assert names(plan(*under("photos", "a.jpg"), output="photos")) == ["photos/a.starry.jpg"]


def test_links_are_seen_through() -> None:
    Path("photos").mkdir()
    Path("link").symlink_to("photos")
    with pytest.raises(UsageError, match="is the input itself"):
        plan("photos/a.jpg", output="link/a.jpg")


def test_a_name_too_long_is_planned_and_fails_later() -> None:
    assert len(plan("a" * 250 + ".jpg").todo) == 1
