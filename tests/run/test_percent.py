"""``%`` in a file's name is a letter, unless numbered pictures are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import draw

from stylecli.media.video.sequence import numbered, numbered_name
from stylecli.run.events import Event, Failed
from stylecli.run.film_inputs import find_films
from stylecli.run.films import FilmJob
from stylecli.run.style_specs import collect_styles
from stylecli.run.timeline import Timeline


@pytest.fixture(autouse=True)
def _films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("films").mkdir()
    for name in ("50%discount.mp4", "50%d.mp4", "a.mp4", "100%%.mkv"):
        (Path("films") / name).write_bytes(b"x")
    for number in (3, 4):
        draw(Path(f"frames/100%{number:03d}.png"), 16, 16)
    draw(Path("starry.png"), 16, 16)


def targets(*inputs: str, output: str | None = None) -> list[str]:
    from stylecli.media.video.clip import Excerpt
    from stylecli.media.video.encoding import Encoding

    said: list[Event] = []
    job = FilmJob(
        inputs,
        [Timeline.constant(spec) for spec in collect_styles([Path("starry.png")], [])],
        Excerpt(None, None, None, None, None, 10**6),
        Encoding("h264", None, None, None),
        output=output,
    )
    plan = job.plan(said.append)
    assert not [event for event in said if isinstance(event, Failed)]
    return [task.target.as_posix() for task in plan.todo]


@pytest.mark.parametrize(
    ("inputs", "output", "expected"),
    [
        (["films"], None, ["50%d.starry.mp4", "50%discount.starry.mp4", "100%%.starry.mkv", "a.starry.mp4"]),
        (["films/50%discount.mp4"], None, ["50%discount.starry.mp4"]),
        (["films/50%d.mp4"], "out/20%d.mp4", ["20%d.mp4"]),
        (["films/50%d.mp4"], "out/%05d.png", ["%05d.png"]),
        (["frames/100%%03d.png"], "out/5%%d.png", ["5%%d.png"]),
    ],
)
def test_targets(inputs: list[str], output: str | None, expected: list[str]) -> None:
    assert [Path(target).name for target in targets(*inputs, output=output)] == expected


def test_numbered_pictures_with_a_percent_sign() -> None:
    found, problems = find_films(["frames/100%%03d.png"], recursive=False)
    assert len(found) == 1 and not problems
    pattern = found[0].path
    assert [numbered_name(pattern, number) for number, _ in numbered(pattern)] == [
        path for _, path in numbered(pattern)
    ]
    assert numbered_name(Path("a_%d.png"), 12) == Path("a_12.png")
    assert numbered_name(Path("%4d.png"), 12) == Path("  12.png")
